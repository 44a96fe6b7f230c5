"""Makes ClamAV signature sets that are real in form and size: own detections of the EICAR test string
and of Debian's clamav-testfiles, and a large database of generated hashes.

A day's change appends 0.4 % new lines and takes 0.1 % away, as public databases do."""
import hashlib
import itertools
import pathlib
import random

TESTFILES = pathlib.Path("/usr/share/clamav-testfiles")

# Put together here, so that no scanner stops at this file.
EICAR = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*").encode()

_PLATFORMS = ("Win", "Unix", "Osx", "Andr", "Doc", "Pdf", "Html", "Js")
_KINDS = ("Trojan", "Malware", "Packed", "Dropper", "Downloader", "Ransomware", "Adware", "Worm")


class Database:
    """Lines of a hash database; next_day() changes them as a vendor's day does."""

    def __init__(self, lines, seed=1):
        self.random = random.Random(seed)
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.families = ["".join(self.random.choice(letters) for _ in range(7)).title()
                         for _ in range(1500)]
        self.weights = list(itertools.accumulate(1 / (i + 1) for i in range(1500)))
        self.serial = 6_000_000
        self.lines = self._new(lines)

    def _new(self, count):
        r = self.random
        families = r.choices(self.families, cum_weights=self.weights, k=count)
        out = []
        for family in families:
            self.serial += r.randint(1, 3)
            out.append(f"{r.getrandbits(128):032x}:{int(r.lognormvariate(12, 1.6)) + 1}:"
                       f"{r.choice(_PLATFORMS)}.{r.choice(_KINDS)}.{family}-{self.serial}-0\n")
        return out

    def next_day(self):
        gone = set(self.random.sample(range(len(self.lines)), len(self.lines) // 1000))
        self.lines = [x for i, x in enumerate(self.lines) if i not in gone]
        self.lines += self._new(max(1, len(self.lines) * 4 // 1000))


def write_set(folder, database, note="day 1"):
    """Writes the files of one version into folder: hashes.hdb, own.hdb, own.ndb."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hashes.hdb").write_text("".join(database.lines))
    own = []
    for path in sorted(TESTFILES.glob("*")) if TESTFILES.is_dir() else []:
        if path.is_file():
            data = path.read_bytes()
            name = "".join(c if c.isalnum() else "_" for c in path.name)
            own.append(f"{hashlib.md5(data).hexdigest()}:{len(data)}:Atalaia.TestFile.{name}\n")
    day = hashlib.md5(note.encode()).hexdigest()
    own.append(f"{day}:{len(note.encode())}:Atalaia.Test.Day\n")
    (folder / "own.hdb").write_text("".join(own))
    (folder / "own.ndb").write_text(f"Atalaia.Test.Eicar:0:0:{EICAR.hex()}\n")
    return folder
