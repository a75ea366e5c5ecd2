"""What must never enter a record: secrets of every usual form, and personal data beyond a user name.

Two rules work together: the name under which a value stands (`password`, `partner_name`), and the form of the text
itself (a JWT, an IBAN). Doubt is resolved towards redaction, except for what evidence lives from: resource ids, GUIDs,
hexadecimal digests and the names of accounting moves survive. People's names without such a key cannot be recognised;
who records refers to people and partners by id.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from itertools import pairwise

from shared.evidence.canonical import Json

# Compared with a key's letters in lower case without separators: client_secret, clientSecret and CLIENT-SECRET agree.
_SECRET_ENDINGS = (
    "password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "accountkey", "accesskey", "sharedkey",
    "privatekey", "functionkey", "functionskey", "masterkey", "hostkey", "signingkey", "encryptionkey", "storagekey",
    "subscriptionkey", "secretkey", "sessionkey", "instrumentationkey", "connectionstring", "authorization", "cookie",
    "credential", "clientassertion", "sessionid", "sasurl", "sasuri", "pwd",
)  # fmt: skip
_SECRET_WORDS = frozenset({"sas", "sig", "pin", "otp", "totp", "jwt", "pat", "auth"})
_PERSONAL_KEYS = frozenset({
    "email", "emails", "emailaddress", "emailfrom", "emailto", "emailcc", "emailbody", "mailbody", "bodyhtml",
    "messagebody", "replyto", "recipient", "recipients", "phone", "phones", "phonenumber", "mobile", "fax", "street",
    "street2", "zip", "postcode", "postaladdress", "streetaddress", "iban", "accnumber", "bankaccount",
    "accountnumber", "cardnumber", "partner", "partners", "partnername", "partnernames", "customer", "customers",
    "customername", "vendor", "vendors", "vendorname", "supplier", "suppliername", "contact", "contactname",
    "employee", "employeename", "firstname", "lastname", "fullname", "givenname", "surname", "birthday", "birthdate",
    "dateofbirth", "ssn", "taxid", "vatnumber",
})  # fmt: skip
# Odoo's many2one values are [id, "display name"]: the id stays.
_PERSONAL_PAIRS = frozenset({"partnerid", "commercialpartnerid", "employeeid", "contactid", "userid"})
_USER_NAME_WORDS = frozenset({"by", "actor", "user", "username", "approver", "requester"})

_LABELS = (
    r"(?:password|passwd|passphrase|secret|token|api[-_ ]?key|account[-_ ]?key|access[-_ ]?key|shared[-_ ]?key|"
    r"private[-_ ]?key|functions?[-_ ]?key|master[-_ ]?key|secret[-_ ]?key|subscription[-_ ]?key|"
    r"instrumentation[-_ ]?key|connection[-_ ]?string|client[-_ ]?assertion|session[-_ ]?id|"
    r"(?<![A-Za-z0-9])(?:pwd|sig|sas|SharedAccessSignature))"
)
# In double quotes, in double quotes of JSON inside JSON, or in single ones; a text that was cut off has no closing one.
_QUOTED = r"""(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|\\"(?:[^"\\]|\\[^"])*+(?:\\"|\\?\Z)|'(?:[^'\\]|\\.)*+(?:'|\\?\Z))"""
_KEPT = r"(?!\\?[\"']?\[redacted )"

type _Replacement = str | Callable[[re.Match[str]], str]


def redact(value: Json) -> Json:
    """The same value without secrets and personal data. Redacting twice is redacting once."""
    match value:
        case str():
            return redact_text(value)
        case list():
            return _redact_list(value)
        case dict():
            return _redact_object(value)
        case _:
            return value


def redact_text(text: str) -> str:
    """The same text without secrets and personal data."""
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    return text


def redact_user_name(name: str) -> str:
    """A user name and nothing else; Entra's user principal names have the form of an e-mail address."""
    return name if _EMAIL.fullmatch(name) else redact_text(name)


def _redact_object(value: dict[str, Json]) -> dict[str, Json]:
    # {"name": "PGPASSWORD", "value": "..."}: how Kubernetes lists variables, and many tools list headers.
    label = value.get("name") or value.get("key")
    labelled = isinstance(label, str) and _is_secret(label)
    result: dict[str, Json] = {}
    for key, item in value.items():
        unique = shown = redact_text(key)
        count = 1
        while unique in result:
            count += 1
            unique = f"{shown} {count}"
        result[unique] = _hidden(item, "secret") if labelled and key == "value" else _redact_item(key, item)
    return result


def _redact_item(key: str, item: Json) -> Json:
    if _is_secret(key):
        return _hidden(item, "secret")
    words = _words(key)
    joined = "".join(words)
    if joined in _PERSONAL_KEYS:
        return _hidden_texts(item)
    if joined in _PERSONAL_PAIRS and isinstance(item, list):
        return _hidden_texts(item)
    if words and (words[-1] in _USER_NAME_WORDS or joined.endswith("username")) and isinstance(item, str):
        return redact_user_name(item)
    return redact(item)


def _redact_list(values: list[Json]) -> list[Json]:
    # ["--password", "..."] in a command line, ["Authorization", "..."] in a list of headers.
    secret_next = [False]
    secret_next += [
        isinstance(first, str)
        and isinstance(second, str)
        and _is_secret(first)
        and (first.startswith("-") or first.lower() in {"authorization", "cookie", "set-cookie", "x-functions-key"})
        for first, second in pairwise(values)
    ]
    return [
        _hidden(item, "secret") if secret else redact(item) for item, secret in zip(values, secret_next, strict=False)
    ]


def _hidden(value: Json, what: str) -> Json:
    """Nothing is left of a secret but that there was one; whether it is set at all may be shown."""
    return value if value is None or isinstance(value, bool) or value == "" else f"[redacted {what}]"


def _hidden_texts(value: Json) -> Json:
    match value:
        case str():
            return "[redacted personal data]" if value else value
        case list():
            return [_hidden_texts(item) for item in value]
        case dict():
            return {redact_text(key): _hidden_texts(item) for key, item in value.items()}
        case _:
            return value


def _words(key: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)
    return [word.lower() for word in re.findall(r"[^\W_]+", spaced)]


def _is_secret(key: str) -> bool:
    words = _words(key)
    if not words:
        return False
    joined = "".join(words).rstrip("0123456789")
    # The plural of a secret is a count or a list of names more often than values, but nobody can tell: hidden as well.
    return (
        joined.endswith(_SECRET_ENDINGS)
        or joined.removesuffix("s").endswith(_SECRET_ENDINGS)
        or (words[-1] in _SECRET_WORDS)
    )


_GUID_OR_DIGEST = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|(?<![0-9A-Za-z])[0-9A-Fa-f]{32,}")
_SHORTEST_KEY = 32
_CHANGES_OF_KIND = 0.4  # random base64 changes between small, capital and digit at 0.64 of its steps, words below 0.3


def _key_material(match: re.Match[str]) -> str:
    text = match.group()
    core = _GUID_OR_DIGEST.sub("", text)
    if len(core) < _SHORTEST_KEY:
        return text
    if core.endswith("=") and any(map(str.isupper, core)):
        return "[redacted key]"
    return "/".join("[redacted key]" if _looks_random(part) else part for part in text.split("/"))


def _looks_random(part: str) -> bool:
    core = _GUID_OR_DIGEST.sub("", part).rstrip("=")
    if len(core) < _SHORTEST_KEY:
        return False
    kinds = ["a" if c.islower() else "A" if c.isupper() else "0" if c.isdigit() else "-" for c in core]
    changes = sum(1 for first, second in pairwise(kinds) if first != second and "-" not in (first, second))
    return {"a", "A", "0"} <= set(kinds) and changes >= _CHANGES_OF_KIND * len(core)


def _basic(match: re.Match[str]) -> str:
    try:
        decoded = b64decode(match.group(2) + "==", validate=False)
    except Base64Error:
        return match.group()
    return f"{match.group(1)}[redacted credentials]" if b":" in decoded else match.group()


# Length of an IBAN by country: ISO 13616 registry. The check digits (ISO 7064 mod 97-10) rule out nearly all the rest.
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in re.findall(
        r"(\d{2})([A-Z]+)",
        "15NO 16BE 18DKFIFOGLNL 19MKSI 20ATBAEEKZLTLUXK 21CHHRLILV 22BGBHCRDEGBGEIEMERSVA 23AEGIILIQTL 24ADCZESMDPK"
        "ROSASESKTNVG 25LYPTST 26ISTR 27FRGRITMCMRSM 28ALAZBYCYDOGTHULBPLSV 29BREGPSQAUA 30JOKWMU 31MTSC 32LC",
    )
    for country in re.findall(r"[A-Z]{2}", countries)
}


def _iban(match: re.Match[str]) -> str:
    text = match.group()
    places = [index for index, c in enumerate(text) if c.isalnum()]
    length = _IBAN_LENGTHS.get(text[:2], 0)
    if not 0 < length <= len(places):
        return text
    end = places[length - 1] + 1
    if text[end : end + 1].isalnum():
        return text
    number = "".join(text[index] for index in places[:length])
    digits = "".join(str(int(c, 36)) for c in number[4:] + number[:4])
    return "[redacted IBAN]" + text[end:] if int(digits) % 97 == 1 else text


def _card(match: re.Match[str]) -> str:
    digits = [int(c) for c in match.group() if c.isdigit()]
    doubled = [digit if index % 2 else digit * 2 - 9 * (digit > 4) for index, digit in enumerate(digits)]
    return "[redacted card number]" if len(digits) == 16 and sum(doubled) % 10 == 0 else match.group()


def _phone(match: re.Match[str]) -> str:
    text = match.group()
    is_phone = 7 <= sum(map(str.isdigit, text)) <= 15 and not _DATE.search(text)
    return "[redacted phone number]" if is_phone else text


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_EMAIL = re.compile(r"[\w.%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")


def _forms() -> list[tuple[re.Pattern[str], _Replacement]]:
    def form(pattern: str, replacement: _Replacement, flags: int = 0) -> tuple[re.Pattern[str], _Replacement]:
        return re.compile(pattern, flags), replacement

    return [
        form(r"-----BEGIN [A-Z0-9 ]{2,40}-----(?:.*?-----END [A-Z0-9 ]{2,40}-----|.*\Z)", "[redacted PEM]", re.DOTALL),
        form(r"(://[^\s/?#:@]{0,128}:)[^\s/?#]{1,512}@", r"\1[redacted password]@"),
        form(r"(://[^\s/?#:@]{0,128}:)(?!\d{1,5}/)[^\s@]{1,512}@", r"\1[redacted password]@"),
        form(r"(://)[^\s/?#:@]{20,512}@", r"\1[redacted token]@"),
        form(r"(?i)\b((?:set-)?cookie\\?[\"']?\s*:[ \t]*)[^\r\n]+", r"\1[redacted cookie]"),
        form(r"(?<![\w-])eyJ[\w-]{8,}+(?:\.[\w-]*+){2,4}", "[redacted JWT]"),
        form(r"(?i)\b((?:bearer|negotiate|digest|sharedkey(?:lite)?|sharedaccesssignature)\s+)(?=\S{20}|\S*\d)[^\s\"',]+",
             r"\1[redacted credentials]"),
        form(r"(?i)\b(basic\s+)([A-Za-z0-9+/_-]{6,}={0,2})", _basic),
        form(r"(?i)\b((?:proxy-)?authorization\\?[\"']?\s*[:=]\s*\\?[\"']?(?:(?:bearer|basic|digest|negotiate) +)?+)"
             r"(?!\[redacted )[^\s\"',]+", r"\1[redacted credentials]"),
        # In a connection string a value runs to the next semicolon, blanks and all.
        form(rf"(?i)(?:(?<=;)|\A(?=[^;]*;))(\s*[\w ]*{_LABELS}\s*=\s*){_KEPT}(?:{_QUOTED}|[^;\"'\r\n][^;\r\n]*)",
             r"\1[redacted secret]"),
        form(rf"(?i)({_LABELS}\\?[\"']?\s*[:=]\s*){_KEPT}(?:{_QUOTED}|[^\s;&\"'][^\s;&\"]*)", r"\1[redacted secret]"),
        form(rf"(?i)(--?{_LABELS}\s+){_KEPT}(?:{_QUOTED}|\S+)", r"\1[redacted secret]"),
        form(r"(?i)([?&](?:code|key|sig|signature|assertion|auth)=)(?!\[redacted )[^&#\s\"']+", r"\1[redacted secret]"),
        form(r"\$(?:pbkdf2[\w-]*|2[abxy]|argon2\w*|scrypt|[56](?=\$(?:rounds=\d+\$)?[\w./]{1,16}\$))\$[\w./+=,$-]{20,}|"
             r"SCRAM-SHA-256\$[\w:+/=$]{20,}|\bmd5[0-9a-f]{32}\b", "[redacted password hash]"),
        form(r"\b(?:gh[opsur]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}|"
             r"[sr]k_(?:live|test)_\w{10,}|A(?:KIA|SIA)[A-Z0-9]{16}|AIza[\w-]{35}|npm_\w{36}|pypi-[\w-]{20,}|"
             r"dop_v1_\w{60,}|SG\.[\w-]{16,}\.[\w-]{16,})", "[redacted token]"),
        form(r"[\w.~-]{3}\dQ~[\w.~-]{31,34}", "[redacted client secret]"),
        form(r"(?i)(https://(?:hooks\.slack\.com|[\w.-]*webhook\.office\.com|discord\.com/api/webhooks)/)"
             r"(?!\[redacted )[^\s\"']+", r"\1[redacted webhook]"),
        form(rf"[A-Za-z0-9+/_=-]{{{_SHORTEST_KEY},}}", _key_material),
        (_EMAIL, "[redacted e-mail]"),
        form(r"\b[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]){11,30}\b", _iban),
        form(r"(?<![\w-])[3-6]\d{3}([ -]?)\d{4}\1\d{4}\1\d{4}(?![\w-])", _card),
        form(r"(?<![\w+.])\+[1-9]\d{0,2}[\d ()./-]{5,18}\d(?![\w.])", _phone),
        form(r"(?<![\w/.-])00[1-9]\d{0,2}[ /-]\(?\d[\d ()/-]{5,14}\d(?![\w.])", _phone),
        form(r"(?<![\w/.-])\(?0[1-9]\d{1,3}\)?[ /-]\d{3,5}[ -]?\d{2,6}(?![\w./:-])", _phone),
        form(r"(?<![\w/.-])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w./-])", _phone),
    ]  # fmt: skip


_FORMS = _forms()
