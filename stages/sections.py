"""The sections of a parameter file, each with its dataclass."""


def section_kinds() -> dict[str, type]:
    """Return the dataclass of each section, in the order of `stages.params.SECTIONS`."""
    from pipeline.corpora.preparation import PrepareConfig
    from pipeline.descriptions.config import DescribeConfig
    from pipeline.extraction.codebook_fit import TokeniseConfig
    from pipeline.extraction.embed import EmbedConfig
    from pipeline.extraction.ingest import IngestConfig
    from pipeline.extraction.settings import ExtractConfig
    from pipeline.finetuning.config import FinetuneConfig
    from pipeline.report.report import ReportConfig
    from pipeline.scoring.score import ScoreConfig
    from pipeline.segmentation.config import SegmentsConfig
    from pipeline.training.config import TrainConfig
    from pipeline.transcription.transcribe import TranscribeConfig

    return {
        "prepare": PrepareConfig,
        "transcribe": TranscribeConfig,
        "describe": DescribeConfig,
        "extract": ExtractConfig,
        "ingest": IngestConfig,
        "tokenise": TokeniseConfig,
        "embed": EmbedConfig,
        "train": TrainConfig,
        "finetune": FinetuneConfig,
        "score": ScoreConfig,
        "segments": SegmentsConfig,
        "report": ReportConfig,
    }
