"""Words by which people tell a secret, in the languages that they write to agents in.

Regular expression sources for both engines. Letters outside ASCII that begin a word are given in both cases, since RE2
reads bytes here. Languages: English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Danish,
Norwegian, Finnish, Czech, Slovak, Romanian, Hungarian, Turkish, Croatian, Russian, Ukrainian, Greek, Chinese, Japanese,
Korean.
"""

from typing import Final

from localguard.detect.words import word_set

# What people choose: password, passphrase. May carry the endings of its language (`Passworts`, `Lösenordet`, `пароля`).
CHOSEN: Final = (
    r"(?:(?i:p[as]{2,4}[wor]{2,4}d|pass(?:w[ou]?r?[do]+r?d?|wort|wd|phrase|code|ord)|pwd|pw|kennwort|zugangscode|losung|mdp|"
    r"mots? de passe|access code|geheimnis|geheimwort|(?:wlan|wifi|wi-fi)[- ]?(?:schl(?:ü|Ü|ue)ssel|key|sleutel|nyckel)|cl(?:é|e) (?:wi-?fi|du wi-?fi)|toegangscode|palabra clave|contrase(?:ñ|Ñ|n)a|contrasenya|clave(?: de acceso)?|senha|palavra[- ]passe|"
    r"parola(?: d.{1,3} ?ordine| chiave)?|wachtwoord|ha(?:s|ś)(?:ł|Ł|l)(?:o|a|em)|l(?:ö|Ö|o)senord|adgangskode|kodeord|"
    r"salasana|heslo|parol(?:ă|a|ei)|jelsz(?:ó|o)|(?:ş|Ş|s)ifre|lozinka|geslo)|"
    r"(?:п|П)арол(?:ь|я|ем|і)|ПАРОЛЬ|(?:κ|Κ)ωδικ(?:ό|ο)(?:ς|ύ)?(?: πρόσβασης)?|密码|密碼|口令|パスワード|暗証番号|비밀번호|암호)"
)
# What is generated: keys, tokens.
DRAWN: Final = (
    r"(?:(?i:(?:api|access|auth|client|secret|private|signing|encryption|licen[sc]e|master|webhook|app|service|account|shared|"
    r"subscription|deploy|recovery|session|bearer|refresh|personal access|jwt|root|admin)[-_ ](?:key|token|secret|code)|"
    r"apikey|token|secret|credential|(?:api[- ]?)?schl(?:ü|Ü|ue)ssel|cl(?:é|e)|jeton|passkey|"
    r"chiave|chave|llave|sleutel|klucz|nyckel|n(?:ø|o)gle|n(?:ø|o)kkel|avain|kl(?:í|i)(?:č|c)|cheie|anahtar|key)|(?:к|К)люч|"
    r"(?:т|Т)окен|κλειδί|密钥|令牌|トークン|キー|토큰|키)"
)
# What a password in a sentence has and words have not.
MIXED: Final = r"(?:[A-Za-z][0-9!@#$%^&*+?~]|[0-9][A-Za-z]|[0-9]{4}|[A-Za-z0-9]-[A-Za-z0-9])"
NUMBER: Final = r"(?i:(?:door|gate|alarm|entry|safe|lock|unlock|security|confirmation|auth(?:entication)?|login|sms|mfa|otp)[- ](?:code|pin|combination)|\bpuk\b|combination|\bpin(?:[- ]?code)?|passcode|one[- ]time (?:password|code)|otp|2fa code|verification code)"
# What stands right before the value where it is told.
IS: Final = (
    r"(?i:is|was|are|as|to|now|being|equals?|ist|lautet|war|sind|auf|est|était|es|era|è|e|é|foi|je|jest|było|byl[oa]?|är|var|er|"
    r"on|oli|este|este:|this|that|new|with|using|via|typed|entered|tried|used|use|try|from|mit|avec|con|com|met|z|med|s|cu|"
    r"ile|и|с|со|з|με|είναι|это|це|from|de|von|till|til|naar|na|à|а|in|it's|be|only)|は|是|为|為|는|은|이|가|が|を|로"
)
# What may stand between that and the value: since when it is so.
NOW: Final = word_set(
    """
    now still currently jetzt nun aktuell momentan noch désormais maintenant actuellement toujours ahora actualmente ora
    adesso attualmente agora atualmente nu nog momenteel teraz obecnie fortfarande nå nyní teď most acum şimdi sada
    теперь сейчас тепер зараз τώρα nyt
    """
)
# As what something is used: `use X as the password`.
AS: Final = r"(?i:as|als|comme|como|come|jako|som|för|for|как|як|ως)"
LOGIN: Final = (
    r"(?i:log(?:ged|ging|s)?[- ]?(?:in|on|into)?|sign(?:ed|s|ing)?[- ]?in|authenticat\w+|connect\w*|ssh|einlogg\w+|meld\w*|anmelden|"
    r"identifie\w*|inici\w+|acced\w+|entr\w+|conect\w+|aanmelden|inlogg\w+|zaloguj\w*|logg\w+|giriş|kirjaudu|prihl\w+|přihl\w+|"
    r"войд\w+|вход\w*|зайд\w+|увійд\w+|συνδ\w+|(?:as|als|comme|como|come|jako|som) (?:the |user |der |el |l.|le )?(?:admin|root|user|sa|postgres|guest|[a-z]+_[a-z_]+))"
)
WITH: Final = r"(?i:with|using|via|mit|avec|con|com|met|med|cu|ile|z|s)|с|со|з|με"
CREDENTIALS: Final = (
    r"(?i:credentials?|creds?|log-?in(?:daten|gegevens| data| details)?|logon|zugang|accesso|acceso|account|zugang(?:sdaten)?|anmeldedaten|identifiants?|"
    r"credenciales|credenziali|credenciais|inloggegevens|dane logowania|inloggning|auth|user(?:name)?|benutzer|"
    r"user(?:name)?[/ ]?(?:and|&|/)?[/ ]?pass(?:word)?)|доступ|логин|логін|账号|帳號|アカウント|계정"
)
# Names under which people log in, where no word says so.
USERS: Final = (
    r"(?i:admin(?:istrator)?|root|sa|guest|deploy(?:er)?|ubuntu|oracle|jenkins|ec2-user|operator|superuser|sysadmin|"
    r"svc[_.-]?\w{0,20}|user\d{0,3}|dba|(?:db|app)[_.-]\w{1,20}|test(?:er|user)|pi|vagrant|postgres|mysql|grafana|elastic|rabbitmq|minio|tomcat|ftp\w{0,8}|backup)"
)
EMAIL: Final = r"[\w.+-]{1,40}@[\w-]{1,40}(?:\.[\w-]{2,20}){1,3}"
# What somebody says who hands a value over without a word for it. The first says so outright.
HANDED_OVER: Final = (
    r"(?i:(?:here|there) (?:you (?:go|are)|it is|ya go)|here(?:'s|’s| is) (?:it|(?:the|a) \w{2,8} one)|voici|voil(?:à|a)|hier bitte|"
    r"hier ist (?:es|er|sie)|bitte sehr|ecco(?:lo|la)?|aqu(?:í|i) (?:est(?:á|a)|va|tienes?|tem)|segue|alsjeblieft|mine is|"
    r"(?:the|a) \w{2,12} one(?: is|'s))"
)
HANDED: Final = (
    r"(?i:try(?: it)?(?: with)?|use|used|using|it(?:'s|’s| is)(?: now| still)?|that(?:'s|’s| is)|this one(?: works)?|(?:the )?answer is|"
    r"should be|works with|(?:changed|set|reset|switched|rotated|updated) (?:it )?to|it was|wi-?fi|yes|sure|old|new|replaced|typed|entered|nimm|nutze|versuch \w* ?mit|prova|usa|prueba|"
    r"toma|probeer|gebruik|utilise|essaie)"
)
PHRASE: Final = r"(?i:passphrase|pass phrase|passwort|password|kennwort|mot de passe|phrase secr(?:è|e)te|frase de contrase(?:ñ|n)a|seed phrase)"
