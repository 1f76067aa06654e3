"""Words by which people tell a secret, in the languages that they write to agents in.

Regular expression sources over bytes, for both engines. Letters outside ASCII are given in both cases, since RE2 reads
bytes here. Languages: English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Danish, Norwegian,
Finnish, Czech and Slovak, Romanian, Hungarian, Turkish, Croatian, Russian, Ukrainian, Greek, Chinese, Japanese, Korean.
"""

from typing import Final

# The thing: password, passphrase, PIN. May carry the endings of its language (`Passworts`, `Lösenordet`, `пароля`).
CHOSEN: Final = (
    r"(?:(?i:pass(?:word|wort|wd|phrase|code|ord|w)|pwd|pw|pass|passwordje|kennwort|zugangscode|losung|mdp|"
    r"mots? de passe|palabra clave|contrase(?:ñ|Ñ|n)a|contrasenya|clave(?: de acceso)?|senha|palavra[- ]passe|"
    r"parola(?: d[’'] ?ordine| chiave)?|wachtwoord|ha(?:s|ś)(?:ł|Ł|l)(?:o|a|em)|l(?:ö|Ö|o)senord|adgangskode|kodeord|"
    r"salasana|heslo|parol(?:ă|a|ei)|jelsz(?:ó|o)|(?:ş|Ş|s)ifre|lozinka|geslo|contraseña)|"
    r"(?:п|П)арол(?:ь|я|ем|і)|ПАРОЛЬ|(?:κ|Κ)ωδικ(?:ό|ο)(?:ς|ύ)?(?: πρόσβασης)?|密码|密碼|口令|パスワード|暗証番号|비밀번호|암호)"
)
# Others that are generated.
DRAWN: Final = (
    r"(?i:(?:api|access|auth|client|secret|private|signing|encryption|license|master|webhook|app|service|account|shared|"
    r"subscription|deploy|recovery|session|bearer|refresh|personal access|one[- ]time|jwt)[-_ ](?:key|token|secret|code)|"
    r"apikey|token|secret|credential|api[- ]?schl(?:ü|Ü|ue)ssel|schl(?:ü|ue)ssel|cl(?:é|e) (?:d[’']?api|secr(?:è|e)te)|jeton|"
    r"chiave|chave|llave|sleutel|klucz|nyckel|n(?:ø|o)gle|avain|kl(?:í|i)(?:č|c)|cheie|anahtar|key|passkey)|ключ|токен|"
    r"密钥|令牌|トークン|キー|토큰|키"
)
NUMBER: Final = r"(?i:\bpin(?:[- ]?code)?|passcode|one[- ]time (?:password|code)|otp|2fa code|verification code|tan)"
# What may stand between the thing and its value.
IS: Final = (
    r"(?i:is|was|are|=|:|to|as|ist|lautet|war|auf|est|era?|es|è|e|é|foi|(?:j|J)e|jest|to|byl[oa]?|är|var|er|on|oli|este|"
    r"being|equals|remains|now|currently|still|stays|set to|changed to|reset to|i(?:'|’)s|sind|sont|son|sono|są|ovat)"
)
WITH: Final = r"(?i:with|using|via|mit|avec|con|com|met|z|med|s|cu|ile|användning av)|с|со|з|με"  # `log in with …`
LOGIN: Final = (
    r"(?i:log(?:ged|ging)?[- ]?(?:in|on|into)?|sign(?:ed)?[- ]?in|authenticate|connect|ssh|einloggen|melde|anmelden|connecte|"
    r"iniciar|inicia|accedi|entra|aanmelden|inloggen|zaloguj|logga|giriş)"
)
CREDENTIALS: Final = (
    r"(?i:credentials?|creds?|log-?in(?: data| details)?|logon|account|zugang(?:sdaten)?|anmeldedaten|identifiants?|"
    r"credenciales|credenziali|credenciais|inloggegevens|dane logowania|inloggning|p(?:ř|r)ihla(?:š|s)ovac(?:í|i) (?:ú|u)daje|"
    r"auth|user(?:name)?(?:[/ ]?(?:and|&|/)?[/ ]?pass(?:word)?))|доступ|учётные данные|账号"
)
