"""The corpora that `genser prepare` knows by name: genser's own, and those of other packages."""

from pipeline.corpora.aesdd import AESDD
from pipeline.corpora.air_bench import AIR_BENCH_GENDER
from pipeline.corpora.baved import BAVED
from pipeline.corpora.crema_d import CREMA_D
from pipeline.corpora.emodb import EMODB
from pipeline.corpora.emovo import EMOVO
from pipeline.corpora.esd import ESD
from pipeline.corpora.iemocap import IEMOCAP
from pipeline.corpora.importer import Importer
from pipeline.corpora.jl_corpus import JL_CORPUS
from pipeline.corpora.meld import MELD
from pipeline.corpora.mesd import MESD
from pipeline.corpora.msp_podcast import MSP_PODCAST
from pipeline.corpora.nemo import NEMO
from pipeline.corpora.ravdess import RAVDESS, RAVDESS_SONG
from pipeline.corpora.savee import SAVEE
from pipeline.corpora.shemo import SHEMO
from pipeline.corpora.subesco import SUBESCO
from pipeline.corpora.tess import TESS
from pipeline.corpora.turev_db import TUREV_DB
from pipeline.corpora.urdu import URDU
from pipeline.plugins import plugins

GROUP = "genser.corpora"
DEMO, EMOBOX, FOLDERS, TABLE = "demo", "emobox", "folders", "table"
KALDI, AUDFORMAT, AUDIOFOLDER = "kaldi", "audformat", "audiofolder"
FORMATS = (EMOBOX, KALDI, AUDFORMAT, AUDIOFOLDER, FOLDERS, TABLE)

IMPORTERS: dict[str, Importer] = {
    importer.name: importer
    for importer in (
        RAVDESS,
        RAVDESS_SONG,
        CREMA_D,
        EMODB,
        TESS,
        SAVEE,
        MELD,
        IEMOCAP,
        MSP_PODCAST,
        ESD,
        EMOVO,
        NEMO,
        URDU,
        TUREV_DB,
        BAVED,
        JL_CORPUS,
        SHEMO,
        SUBESCO,
        MESD,
        AESDD,
        AIR_BENCH_GENDER,
    )
}


def all_importers() -> dict[str, Importer]:
    """Return genser's own importers, and those that other packages add by name.

    Raises:
        PluginError: If one of another package cannot be used.
    """
    taken = (*IMPORTERS, DEMO, *FORMATS)
    return IMPORTERS | plugins(GROUP, kind=Importer, taken=taken)


def all_corpora() -> list[str]:
    """Return every name that `genser prepare` takes.

    Raises:
        PluginError: If one of another package cannot be used.
    """
    return [DEMO, *all_importers(), *FORMATS]
