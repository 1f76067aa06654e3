r"""Whether Perl, Ruby, PHP, JavaScript or AWK given on a command line keeps to constructs that are known to stay here.

An allow list: literals are taken out first, then every name that is left has to be a variable, or a word of the language
or its library that computes, or reads and writes files. A language's ways to call what only running tells (a name in a
variable, a method of unknown objects, code in interpolated text) are refused whole, as is what these few patterns cannot
read. `script` looks through the same code for words of the network beforehand, strings included.

This is no parser: odd but harmless code is refused, and then a placeholder stays where its value could have stood.
"""

import re

from localguard.redact.programs import names

_MAX_CODE = 32_768

_JS_LITERAL = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`"
    r"|(?:(?<=[(,=:\[!&|?{};>])|(?<=\breturn))\s*/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*",
    re.DOTALL,
)
_JS_WORDS = names("""
    const let var function return if else for of in while do break continue switch case default new typeof instanceof try catch
    finally throw async await null undefined true false NaN Infinity delete void
    JSON Object Array String Number Boolean Math Date RegExp Map Set Buffer console process require Promise Error TypeError
    BigInt Symbol parseInt parseFloat isNaN isFinite encodeURIComponent decodeURIComponent encodeURI decodeURI structuredClone
    fs path os util crypto zlib
    """)
_JS_NEVER = names("""
    child_process http https http2 net tls dgram dns cluster worker_threads vm repl inspector v8 module process globalThis global
    WebSocket EventSource XMLHttpRequest fetch Function eval WebAssembly Worker BroadcastChannel navigator Deno Bun require
    Reflect Proxy this import exports self window
    """)
_JS_MEMBERS = re.compile(
    r"\.\s*(?:constructor|__\w+__|prototype|getPrototypeOf|setPrototypeOf|getOwnPropertyDescriptors?|binding|dlopen|mainModule"
    r"|_load|getBuiltinModule|_linkedBinding|setEngine|createRequire|reallyExit|cache|main|resolve)\b"
)
_JS_PROCESS = re.compile(
    r"\bprocess\b(?!\s*\.\s*(?:argv|env|exit|exitCode|stdout|stderr|stdin|cwd|platform|version|versions|hrtime|pid)\b)"
)
_JS_DECLARED = (
    re.compile(r"\b(?:const|let|var|function\*?)\s+([\w$]+)"),
    re.compile(r"\b(?:const|let|var)\s*[{\[]([^}\]]{0,500})[}\]]"),
    re.compile(r"([\w$]+)\s*=>"),
    re.compile(r"\(([^()]{0,500})\)\s*=>"),
    re.compile(r"\bfunction\s*[\w$]*\s*\(([^()]{0,500})\)"),
    re.compile(r"\bcatch\s*\(\s*([\w$]+)\s*\)"),
)
_JS_NAME = re.compile(r"(?<![\w$.])(?<![{,]\s)(?<![{,])[A-Za-z_$][\w$]*|(?<=[{,])\s*[A-Za-z_$][\w$]*(?![\w$]|\s*:)")
_JS_COMPUTED = re.compile(
    r"(?<![\w$])(?:of|in|return|case)\s*\[|[\w$)\]\"]\s*\[(?!\s*(?:[0-9]+|\"\"|[\w$.]+\.length\s*-\s*[0-9]+)\s*\])"
)

_PERL_LITERAL = re.compile(
    r"(?:^|(?<=\s))#[^\n]*|'(?:\\.|[^'\\])*'|\"(?P<text>(?:\\.|[^\"\\])*)\""
    r"|\b(?:s|tr|y)(?P<mark>[/|#!,@:~])(?P<from>(?:\\.|(?!(?P=mark)).)*)(?P=mark)(?P<to>(?:\\.|(?!(?P=mark)).)*)(?P=mark)(?P<flags>[a-z]*)"
    r"|\b(?:m|qr|q|qq|qw)(?P<quote>[/|#!,@:~])(?P<body>(?:\\.|(?!(?P=quote)).)*)(?P=quote)[a-z]*"
    r"|\bs\{(?P<inner>[^{}]*)\}\s*\{(?P<other>[^{}]*)\}(?P<end>[a-z]*)|\b(?:qw|q)\([^()]*\)|\b(?:qw|q)\{[^{}]*\}"
    r"|(?:\A|(?<=[(=~!&|,;{])|(?<=\bif)|(?<=\bunless)|(?<=\band)|(?<=\bor)|(?<=\bsplit))\s*/(?P<regex>(?:\\.|[^/\\\n])+)/[a-z]*",
    re.DOTALL | re.MULTILINE,
)
_PERL_RUNS = re.compile(
    r"[@$]\s*\{(?!\^?\w+\})|\(\?\??\{|[$@]\w+\s*(?:->)?\s*[\[{](?![\w$'-]*[\]}])|->\s*[A-Za-z_$&]|\\\("
)
_PERL_CODE = re.compile(
    r"->\s*[A-Za-z_$&]|(?<!&)&[A-Za-z_${]|\*[A-Za-z_{]|[@$%]\s*\{\s*[\"'(\\]|<[^<>=\s$A-Z][^<>]*>|\$\{"
)
_PERL_OPEN = re.compile(r"\bopen\b(?!\s*\(?\s*(?:my\s+)?\$?\w+\s*,\s*['\"](?:<|>|>>|\+<)(?::[\w():-]+)?['\"]\s*,)")
_PERL_NAME = re.compile(r"(?<![\w$@%:])[A-Za-z_]\w*(?:::\w+)*(?!\s*(?:=>|\}))")
_PERL_WORDS = names("""
    my our local print printf say if unless else elsif while until for foreach last next redo return and or not xor x eq ne lt gt
    le ge cmp split join map grep sort reverse keys values each push pop shift unshift splice substr index rindex length lc uc
    lcfirst ucfirst sprintf defined exists delete undef chomp chop open close eof binmode die warn exit BEGIN END use no strict
    warnings utf8 abs int hex oct ord chr scalar wantarray pack unpack seek tell truncate unlink rename mkdir rmdir sub STDIN
    STDOUT STDERR ARGV ENV qw JSON::PP MIME::Base64 File::Slurp List::Util Data::Dumper File::Basename POSIX Digest::SHA
    encode_base64 decode_base64 encode_json decode_json sum max min first uniq basename dirname quotemeta pos time localtime gmtime
    """)

_RUBY_LITERAL = re.compile(
    r"#(?!\{)[^\n]*|'(?:\\.|[^'\\])*'|\"(?P<text>(?:\\.|[^\"\\])*)\"|(?<=[(,=~!&|{;\s])/(?P<regex>(?:\\.|[^/\\\n])+)/[a-z]*|:\w+|\b\w+:(?!:)",
    re.DOTALL,
)
_RUBY_DECLARED = (
    re.compile(r"\b([a-z_]\w*)\s*(?:=(?![=~>])|\+=|<<)"),
    re.compile(r"\|([^|\n]*)\|"),
    re.compile(r"\bfor\s+(\w+)"),
)
_RUBY_NAME = re.compile(r"(?<![\w$@])[A-Za-z_]\w*")
_RUBY_WORDS = names("""
    puts print p printf require if else elsif unless end while until do each for in then case when and or not nil true false begin
    rescue ensure next break return exit ARGV ENV STDIN STDOUT STDERR File JSON YAML Regexp String Integer Float Array Hash Set
    Base64 Time Date Pathname FileUtils Digest CSV read write readlines foreach exist join basename dirname extname expand_path
    rename delete open each_line each_with_index gsub sub split strip chomp lines map select reject sort sort_by uniq first last
    length size empty include start_with end_with to_s to_i to_f to_a to_h to_sym upcase downcase capitalize reverse parse
    generate pretty_generate dump safe_load safe_load_file encode64 decode64 strict_encode64 strict_decode64 hexdigest scan match
    tr index slice keys values key fetch merge dig push pop shift unshift flatten compact min max sum count zip inject reduce
    any all none find now strftime iso8601 new cp mv rm mkdir_p touch freeze dup ljust rjust center with_index times upto round
    """)

_PHP_LITERAL = re.compile(
    r"(?://|#)[^\n]*|/\*.*?\*/|'(?P<plain>(?:\\.|[^'\\])*)'|\"(?P<text>(?:\\.|[^\"\\])*)\"", re.DOTALL
)
_PHP_RUNS = re.compile(r"\$\w+\s*\(|\$\$|\$\{|->|::|\)\s*\(|\]\s*\(|\"\"\s*\(|\\")
_PHP_FILES = re.compile(r"\b(?:file_put_contents|file_get_contents|file|fopen|copy|rename)\b(?!\s*\(\s*\"\"\s*[,)])")
_PHP_NAME = re.compile(r"(?<![\w$])[A-Za-z_]\w*")
_PHP_WORDS = names("""
    echo print printf sprintf if else elseif for foreach as while do break continue return true false null new function fn array
    isset empty unset count strlen str_replace preg_replace preg_match preg_match_all preg_quote preg_split explode implode join
    trim ltrim rtrim substr strpos strrpos strtolower strtoupper ucfirst lcfirst str_repeat str_pad sprintf number_format intval
    floatval strval json_encode json_decode var_dump var_export print_r base64_encode base64_decode md5 sha1 hash random_int bin2hex
    hex2bin array_keys array_values array_merge in_array array_filter sort ksort range min max abs round floor ceil date time
    file_put_contents file_get_contents file copy rename unlink mkdir is_file is_dir file_exists PHP_EOL JSON_PRETTY_PRINT
    JSON_UNESCAPED_SLASHES JSON_UNESCAPED_UNICODE FILE_APPEND LOCK_EX exit die
    """)

_AWK_LITERAL = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|(?:\A|(?<=[(,=~!&|{};\s]))/(?:\\.|[^/\\\n])+/")
_AWK_CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_AWK_WORDS = names("""
    if while for print printf return gsub sub gensub match split substr index length tolower toupper sprintf int rand srand sqrt exp
    log sin cos atan2 and or xor lshift rshift compl strftime systime mktime asort asorti delete exit in function BEGIN END
    """)


def stays_here(code: str, language: str) -> bool:
    """Say whether `code` of a language (`JavaScript`, `Perl`, `Ruby`, `PHP` or `AWK`) keeps to what is known to stay."""
    return len(code) <= _MAX_CODE and _JUDGES[language](code)


def _javascript(code: str) -> bool:
    inner: list[str] = []

    def blank(literal: re.Match[str]) -> str:
        text = literal.group()
        if text.startswith("`"):
            inner.extend(re.findall(r"\$\{([^}]{0,500})\}", text))
        return " " if text.startswith(("//", "/*")) else '""'

    bare = _JS_LITERAL.sub(blank, code)
    bare = ";".join([bare, *(_JS_LITERAL.sub('""', one) for one in inner)])
    if re.search(r"[`'\\@#]", bare) or _JS_MEMBERS.search(bare) or _JS_PROCESS.search(bare):
        return False
    if any(not re.match(r"(?:of|in|return|case)\b", found) for found in _JS_COMPUTED.findall(bare)):
        return False
    declared = {
        name for one in _JS_DECLARED for found in one.findall(bare) for name in re.findall(r"[A-Za-z_$][\w$]*", found)
    }
    return all(name in _JS_WORDS or name in declared - _JS_NEVER for name in map(str.strip, _JS_NAME.findall(bare)))


def _perl(code: str) -> bool:
    literals = list(_PERL_LITERAL.finditer(code))
    for one in literals:
        if "e" in (one["flags"] or "") + (one["end"] or ""):
            return False
        texts = (one[name] for name in ("text", "from", "to", "body", "inner", "other", "regex"))
        if any(
            text and _PERL_RUNS.search(text.replace("\\\\", "").replace("\\$", "").replace("\\@", "")) for text in texts
        ):
            return False
    if _PERL_OPEN.search(code):
        return False
    bare = _PERL_LITERAL.sub(' "" ', code)
    if re.search(r"[`'/\\]", bare) or _PERL_CODE.search(bare):
        return False
    return all(name in _PERL_WORDS for name in _PERL_NAME.findall(bare))


def _ruby(code: str) -> bool:
    inner = [
        found
        for one in _RUBY_LITERAL.finditer(code)
        for found in re.findall(r"#\{([^}]{0,500})\}", one["text"] or one["regex"] or "")
    ]
    bare = ";".join([_RUBY_LITERAL.sub(' "" ', code), *(_RUBY_LITERAL.sub(' "" ', one) for one in inner)])
    if re.search(r"[`'/\\%]|&|::|\.\s*\(|\bopen\b", re.sub(r"\bFile\s*\.\s*open\b", "File", bare.replace("&&", ""))):
        return False
    declared = {
        name for one in _RUBY_DECLARED for found in one.findall(bare) for name in re.findall(r"[a-z_]\w*", found)
    }
    return all(name in _RUBY_WORDS or name in declared for name in _RUBY_NAME.findall(bare))


def _php(code: str) -> bool:
    for one in _PHP_LITERAL.finditer(code):
        if (
            re.search(r"\{\$|\$\{|\$\w+\s*(?:->|\[)", one["text"] or "")
            or ":" in (one["plain"] or one["text"] or "")[:24]
        ):
            return False
    bare = _PHP_LITERAL.sub('""', code)
    if re.search(r"[`']", bare) or _PHP_RUNS.search(bare) or _PHP_FILES.search(bare):
        return False
    return all(name in _PHP_WORDS for name in _PHP_NAME.findall(bare))


def _awk(code: str) -> bool:
    bare = _AWK_LITERAL.sub('""', code).replace("||", " ")
    if re.search(r"[|@`'\\]|\bgetline\b|\bsystem\b", bare):
        return False
    defined = set(re.findall(r"\bfunction\s+(\w+)", bare))
    return all(name in _AWK_WORDS or name in defined for name in _AWK_CALL.findall(bare))


_JUDGES = {"JavaScript": _javascript, "Perl": _perl, "Ruby": _ruby, "PHP": _php, "AWK": _awk}
