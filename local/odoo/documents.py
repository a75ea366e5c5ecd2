"""Attachments and the documents behind them: one row each, one stored document per distinct content."""

from dataclasses import dataclass, field
from hashlib import sha1
from random import Random
from urllib.parse import quote
from uuid import UUID

from local.odoo.ledger import Instant, Ledger
from local.odoo.profile import Layout, Profile, Upload
from local.odoo.rows import AttachmentRow

_SHARED_EVERY = 7
_TERMS = b"%PDF-1.4\n% General terms and conditions, attached to many entries\n%%EOF\n"


@dataclass(slots=True)
class Documents:
    """Makes attachments, evenly over the story, and uploads each distinct document once, as Odoo's file store does."""

    profile: Profile
    ledger: Ledger
    upload: Upload | None = None
    attached: int = 0
    stored_bytes: int = 0
    _allowed: int = 0
    _stored: set[str] = field(default_factory=set[str])

    @property
    def stored(self) -> int:
        return len(self._stored)

    def progress(self, share: float) -> None:
        """How much of the story is told: so much of the profile's attachments may exist now."""
        self._allowed = 1 + int(share * self.profile.attachments)

    def attach(self, name: str, company_id: int, when: Instant) -> int | None:
        """Attach a document to the entry that is posted next, when it is time for one. Returns the attachment's id."""
        if self.attached >= min(self._allowed, self.profile.attachments):
            return None
        number = self.attached
        layouts = self.profile.attachment_layouts
        content = _TERMS if number % _SHARED_EVERY == _SHARED_EVERY - 1 else self._content(number, name)
        attachment_id = self._store(
            layouts[number % len(layouts)], name, content, company_id, self.ledger.ids["account_move"] + 1, when
        )
        self.attached += 1
        return attachment_id

    def add_special_cases(self, when: Instant) -> None:
        """What every real database has too: a web asset, links, an empty file, a document inside the database."""
        row = self._row("res.company.scss", "text/scss", when)
        content = b"$o-company-primary: #714B67;\n"
        self._put(f"{self.profile.database}/{_place(content)}", content)
        self.ledger.writer.add(
            row._replace(
                url="web/static/asset_styles_company_report.scss",
                store_fname=_place(content),
                checksum=_sha1(content),
                file_size=len(content),
            )
        )
        row = self._row("placeholder.png", "image/png", when)
        self.ledger.writer.add(row._replace(type="url", url="/web/static/img/placeholder.png"))
        row = self._row("link", "application/pdf", when)
        self.ledger.writer.add(
            row._replace(type="url", url="https://example.com/contract.pdf", res_model="account.move", res_id=1)
        )
        row = self._row("empty.txt", "text/plain", when)
        self.ledger.writer.add(row._replace(res_model="account.move", res_id=1))
        content = b"%PDF-1.4 in the database"
        row = self._row("in_database.pdf", "application/pdf", when)
        self.ledger.writer.add(
            row._replace(
                res_model="account.move", res_id=1, db_datas=content, checksum=_sha1(content), file_size=len(content)
            )
        )

    def _store(self, layout: Layout, name: str, content: bytes, company_id: int, move_id: int, when: Instant) -> int:
        row = self._row(name, "application/pdf", when)._replace(
            res_model="account.move",
            res_id=move_id,
            company_id=company_id,
            checksum=_sha1(content),
            file_size=len(content),
        )
        match layout:
            case "file":
                row = row._replace(store_fname=_place(content))
                self._put(f"{self.profile.database}/{row.store_fname}", content)
            case "fs_attachment":
                stem, _, extension = name.rpartition(".")
                path = f"{stem}-{row.id}-0.{extension}"
                row = row._replace(
                    store_fname=f"azblob://{path}", fs_filename=path, fs_storage_code="azblob", fs_storage_id=1
                )
                self._put(path, content)
            case "attachment_azure":
                key = f"{row.checksum}".lower()
                row = row._replace(store_fname=f"azure://{self.profile.database}/{key}")
                self._put(key, content)
            case "cloud_storage":
                place = f"{row.id}/{UUID(bytes=self._random(row.id).randbytes(16), version=4)}/{name}"
                url = f"{self.profile.cloud_storage_url}/{quote(place)}"
                row = row._replace(type="cloud_storage", url=url, checksum=None, file_size=None)
                self._put(place, content)
        self.ledger.writer.add(row)
        return row.id

    def _row(self, name: str, mimetype: str, when: Instant) -> AttachmentRow:
        self.ledger.counts["attachments"] += 1
        return AttachmentRow(self.ledger.next_id("ir_attachment"), name, "binary", mimetype, when.at, when.at)

    def _put(self, path: str, content: bytes) -> None:
        if path in self._stored:
            return
        self._stored.add(path)
        self.stored_bytes += len(content)
        if self.upload is not None:
            self.upload(path, content)

    def _content(self, number: int, name: str) -> bytes:
        die = self._random(number)
        scan = die.randbytes(200 + die.randrange(4_000)).hex().encode()
        return b"%PDF-1.4\n% " + name.encode() + b"\nstream\n" + scan + b"\nendstream\n%%EOF\n"

    def _random(self, number: int) -> Random:
        return Random(f"{self.profile.seed}:document:{number}")


def _sha1(content: bytes) -> str:
    return sha1(content, usedforsecurity=False).hexdigest()


def _place(content: bytes) -> str:
    digest = _sha1(content)
    return f"{digest[:2]}/{digest}"
