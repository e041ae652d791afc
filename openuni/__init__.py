"""openuni: build the OpenUni dataset, train the unified video DiT, score it on UniBench."""

from pathlib import Path as _Path

__version__ = "0.1.0"

# annotators/, pipelines/, model/ and benchmark/ stand at the top of the repository and are imported as
# openuni.annotators and so on. Links in this folder show that to every tool; a checkout that lost the
# links (Windows, some zip programs) finds the folders one level up instead.
if not (_Path(__file__).parent / "annotators" / "__init__.py").is_file():
    __path__.append(str(_Path(__file__).resolve().parent.parent))
