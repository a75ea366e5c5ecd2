"""Odoo's inalterability hash in SQL: PostgreSQL itself recomputes every link of every chain, set by set.

The recipe is that of `inalterability`, which stays the judge: the stored hash of the entry before makes every link
checkable alone, and what does not fit here is put to the recipe in Python. So the SQL may refuse what it cannot print
as Python would (`~` in place of the amount), but a hash that fits is a hash of the very text that was sealed.
"""

from typing import LiteralString

_LINKS: LiteralString = """
    select m.id, m.name, m.date, m.journal_id, m.company_id, m.sequence_prefix collate "C" as sequence_prefix,
           m.sequence_number, nullif(m.secure_sequence_number, 0) as number, m.inalterable_hash as sealed
    from account_move m where m.inalterable_hash <> ''"""
FEW = 1_000
_FEW: LiteralString = "1000"
NUMBERED: LiteralString = "select exists (select from account_move where secure_sequence_number > 0)"
"""Whether there are entries that were sealed by version 1 to 3."""


def chained(*, numbered: bool) -> LiteralString:
    """Every sealed entry with the hash before it, as `chained`.

    Versions 1 to 3 chain a journal by `secure_sequence_number` (0 means none); version 4 chains each prefix of a
    journal, and goes on from that prefix's last entry of any version.
    """
    previous: LiteralString = """
        lag(sealed) over (partition by journal_id, sequence_prefix order by number nulls last, sequence_number, id)"""
    if numbered:
        previous = f"""
            case when number is not null
                 then lag(sealed) over (partition by journal_id, number is null
                                        order by number, sequence_prefix, sequence_number, id)
                 else {previous} end"""
    return f"""chained as (
        select id, name, date, journal_id, company_id, sealed, {previous} as previous from ({_LINKS}) as links)"""


def mismatches(version: int, *, numbered: bool, among: bool) -> LiteralString:
    """A query for the number of sealed entries, the ids of those whose hash is not that of this version's text, and the
    stored hashes before the first `FEW` of these.

    Version 3 and version 4 have the same text. With `among`, only the entries of one parameter, an array of ids, are
    looked at.
    """
    chosen: LiteralString = "and m.id = any(%s)" if among else ""
    wanted: LiteralString = "where c.id = any(%s)" if among else ""
    with_names = version >= 2
    name: LiteralString = "'name\":\"' || " + _escaped("l.name") + "," if with_names else ""
    end: LiteralString = '\'","name":"\' || ' + _escaped("c.name") + " || '\"}'" if with_names else "'\"}'"
    credit, debit = _money("l.credit", version), _money("l.debit", version)
    # One call prints a line: what stands between its fields is the same. Its id sorts as a number, which is as text
    # unless its entry has ids of more and of fewer digits.
    return f"""
        with {chained(numbered=numbered)},
        texts as (
            select l.move_id, string_agg(
                concat_ws('","line_' || l.id || '_', '', 'account_id":"' || coalesce(l.account_id::text, 'False'),
                    'credit":"' || {credit}, 'debit":"' || {debit}, {name}
                    'partner_id":"' || coalesce(l.partner_id::text, 'False')),
                '' order by l.id) as lines
            from account_move m
            join account_move_line l on l.move_id = m.id
            left join res_currency u on u.id = l.currency_id
            where m.inalterable_hash <> '' {chosen}
            group by l.move_id
        )
        select count(*), coalesce(array_agg(id) filter (where not fits), array[]::integer[]),
               (array_agg(previous) filter (where not fits))[:{_FEW}] from (
            select c.id, c.previous, (left(c.sealed, 1) <> '$' or left(c.sealed, 3) = '$4$')
                and {_hash("c.sealed")} = encode(sha256(convert_to(
                coalesce({_hash("c.previous")}, '') || '{{"company_id":"' || coalesce(c.company_id::text, 'False')
                || '","date":"' || c.date::text
                || '","journal_id":"' || c.journal_id::text || coalesce(t.lines, '') || {end},
                'UTF8')), 'hex') as fits
            from chained c left join texts t on t.move_id = c.id {wanted}
        ) as judged"""


def _hash(column: LiteralString) -> LiteralString:
    return f"case when left({column}, 1) = '$' then split_part({column}, '$', 3) else {column} end"


def _money(column: LiteralString, version: int) -> LiteralString:
    """The amount as Python prints the float that it is.

    Since version 3 with the decimals of the line's own currency: exact as long as nothing is rounded. Where something
    is, Python rounds the binary value, half to even: fifteen digits leave no doubt but at the half, and at minus zero.
    """
    amount: LiteralString = f"coalesce({column}, 0)"
    decimals: LiteralString = "coalesce(u.decimal_places, 0)"
    if version >= 3:
        return f"""case
            when scale({column}) = u.decimal_places then {column}::text
            when scale({amount}) <= {decimals} and abs({amount}) < 1e12 then round({amount}, {decimals})::text
            when scale({amount}) > 6 or abs({amount}) >= 1e9 then '~'
            when abs({amount} - round({amount}, {decimals})) * 2 = power(10::numeric, -{decimals}) then '~'
            when {amount} < 0 and round({amount}, {decimals}) = 0 then '~'
            else round({amount}, {decimals})::text end"""
    shortest: LiteralString = f"trim_scale({amount})"
    return f"""case
        when scale({shortest}) > 4 or abs({amount}) >= 1e11 then '~'
        when scale({shortest}) = 0 then {shortest}::text || '.0'
        else {shortest}::text end"""


# What Latin scripts write most; any other letter is looked at one by one.
_LETTERS: LiteralString = "ÄÖÜäöüßàáâèéêíîóôúçñ«»€"
_ESCAPES: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("Ä", "00c4"), ("Ö", "00d6"), ("Ü", "00dc"), ("ä", "00e4"), ("ö", "00f6"), ("ü", "00fc"), ("ß", "00df"),
    ("à", "00e0"), ("á", "00e1"), ("â", "00e2"), ("è", "00e8"), ("é", "00e9"), ("ê", "00ea"), ("í", "00ed"),
    ("î", "00ee"), ("ó", "00f3"), ("ô", "00f4"), ("ú", "00fa"), ("ç", "00e7"), ("ñ", "00f1"),
    ("€", "20ac"), ("«", "00ab"), ("»", "00bb"),
)  # fmt: skip


def _escaped(column: LiteralString) -> LiteralString:
    """The text as it stands in JSON, ASCII only; characters beyond the first plane become two, as in UTF-16."""
    latin = column
    for letter, code in _ESCAPES:
        latin = f"replace({latin}, '{letter}', '\\u{code}')"
    return f"""case
        when {column} is null then 'False'
        when {column} !~ '[^ !#-[\\]-~]' then {column}
        when {column} !~ '[^ !#-[\\]-~{_LETTERS}]' then {latin}
        else (
            select string_agg(case
                when code < 127 then letter
                when code < 65536 then '\\u' || lpad(to_hex(code), 4, '0')
                else '\\u' || to_hex(55296 + (code - 65536) / 1024) || '\\u' || to_hex(56320 + mod(code - 65536, 1024))
                end, '')
            from (
                select letter, ascii(letter) as code
                from string_to_table(substr(to_json({column})::text, 2, length(to_json({column})::text) - 2), null)
                    as letters (letter)
            ) as codes
        ) end"""
