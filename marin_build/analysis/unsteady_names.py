"""Names whose value differs between two loads, or that read what cannot be seen."""

from __future__ import annotations

import re

_CLOCK = "reads the clock"
_RANDOM = "draws random numbers"
_INPUT = "reads its standard input"
_PROCESS = "asks for what differs in each process"
_NATIVE = "calls what reads files in ways that cannot be seen"
_MACHINE = "asks how busy the machine is, or who uses it"

UNSTEADY_ANYWHERE = {
    **dict.fromkeys(("now", "today", "utcnow"), _CLOCK),
    **dict.fromkeys(("uuid1", "uuid4", "uuid6", "uuid7", "urandom", "getrandom"), _RANDOM),
    **dict.fromkeys(("getnode", "__hash__"), _PROCESS),
    **dict.fromkeys(("stdin",), _INPUT),
    **dict.fromkeys(("getatime", "st_atime", "st_atime_ns"), "asks when a file was read last"),
    **dict.fromkeys(("disk_usage", "statvfs"), _MACHINE),
    **dict.fromkeys(("isatty", "orig_argv", "getpid", "getppid"), _PROCESS),
    **dict.fromkeys(
        (
            "from_pretrained", "imread", "load_dataset", "load_from_disk", "read_feather",
            "read_hdf", "read_orc", "read_parquet", "safe_open",
        ),
        _NATIVE,
    ),
}  # fmt: skip
"""An attribute of anything, by its name -> what reading it does."""
WHOLE_FUNCTIONS = {
    **{
        f"secrets.{name}": _RANDOM
        for name in ("choice", "randbelow", "randbits", "token_bytes", "token_hex", "token_urlsafe")
    },
    **{f"uuid.{name}": _RANDOM for name in ("uuid1", "uuid4", "uuid6", "uuid7")},
    **{
        f"time.{name}": _CLOCK
        for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time_ns")
    },
    **{f"torch.{name}": _NATIVE for name in ("load", "jit.load")},
    **{f"http.cookiejar.time2{name}": _CLOCK for name in ("isoz", "netscape")},
    **{f"timeit.{name}": _CLOCK for name in ("default_timer", "repeat", "timeit")},
    "ctypes.pythonapi": _NATIVE,
    "os.environ._data": "reads variables past what notes them",
    "random.SystemRandom": _RANDOM,
    "ssl.RAND_bytes": _RANDOM,
    "os.urandom": _RANDOM,
    "sys.stdin": _INPUT,
    "input": _INPUT,
}
"""A name with its module -> what it does."""
UNSTEADY_WITHOUT_SEED = frozenset(
    ("Generator", "PCG64", "Random", "RandomState", "SeedSequence", "default_rng", "seed")
)
"""Functions that draw a seed themselves if they are called without one."""
UNSTEADY_BUILTINS = frozenset(("id", "hash"))
SEEDS = frozenset(
    ("random.seed", "numpy.random.seed", "torch.manual_seed", "torch.random.manual_seed")
)
"""Functions that make the random numbers of a process the same in each."""
_NUMPY = (
    "beta", "binomial", "choice", "exponential", "gamma", "integers", "normal", "permutation",
    "poisson", "rand", "randint", "randn", "random", "random_sample", "sample", "shuffle",
    "standard_normal", "uniform",
)  # fmt: skip
RANDOM_MODULES: dict[str, frozenset[str]] = {
    "random": frozenset(
        (
            "betavariate", "binomialvariate", "choice", "choices", "expovariate", "gammavariate",
            "gauss", "getrandbits", "lognormvariate", "normalvariate", "paretovariate", "randbytes",
            "randint", "random", "randrange", "sample", "shuffle", "triangular", "uniform",
            "vonmisesvariate", "weibullvariate",
        )
    ),
    "numpy.random": frozenset(_NUMPY),
    "torch": frozenset(
        ("bernoulli", "multinomial", "normal", "rand", "randint", "randn", "randperm")
    ),
}  # fmt: skip
"""Module -> functions that draw random numbers, the same ones after a seed."""
UNSTEADY_MODULES = frozenset(
    (
        "_gdbm", "_io", "_posixsubprocess", "_socket", "cffi", "dbm", "fileinput", "grp", "posix",
        "psutil", "pwd", "resource", "shelve", "spwd",
    )
)  # fmt: skip
"""Modules that tell of what no hook reports."""
TIMES_IN_WORDS = frozenset(("now", "today"))
"""What `pandas.Timestamp` and `numpy.datetime64` read as the time of the clock."""
NATIVE_READERS = frozenset(
    (
        "SimpleITK", "_jsonnet", "adbc_driver_manager", "av", "catboost", "confluent_kafka", "cv2",
        "daft", "datafusion", "datatable", "decord", "deltalake", "duckdb", "faiss", "fasttext",
        "fiona", "geopandas", "grpc", "h5netcdf", "h5py", "igraph", "jaxlib", "lance", "lancedb",
        "leveldb", "lightgbm", "llama_cpp", "lmdb", "lxml", "netCDF4", "onnxruntime", "osgeo",
        "polars", "pyarrow", "pygit2", "pyogrio", "pysam", "rasterio", "rioxarray", "rocksdb",
        "safetensors", "sentencepiece", "soundfile", "tables", "tensorflow", "tiledb", "tokenizers",
        "torchaudio", "torchvision", "vaex", "xarray", "xgboost", "zmq",
    )
)  # fmt: skip
"""Packages that open files in compiled code, without a word to Python."""
NATIVE_CONNECTIONS = frozenset(
    (
        "MySQLdb._mysql", "_ibm_db", "confluent_kafka.cimpl", "cx_Oracle", "oracledb.thick_impl",
        "psycopg2._psycopg", "psycopg_binary", "psycopg_c", "pycurl", "pymssql._mssql", "pyodbc",
    )
)  # fmt: skip
"""Modules that open connections in compiled code; what needs one, imports it when it connects."""
READS = (
    "AlignmentFile", "Booster", "Consumer", "Context", "Dataset", "DeltaTable", "File",
    "FileSystem", "FixedLengthRecordDataset", "Graph", "InferenceSession", "LineDataset", "Llama",
    "LocalFileSystem", "OSFile", "Open", "Parquet", "Process", "Read", "Repository",
    "SentencePiece", "TFRecordDataset", "TextLineDataset", "Video", "connect", "dataset",
    "discover", "evaluate", "fread", "from_", "imread", "insecure_channel", "load", "memory_map",
    "open", "parse", "read", "safe_open", "scan", "secure_channel", "sql",
)  # fmt: skip
"""How the names of functions begin that read files."""

_SAYS_NOW = re.compile(r"(^|_)(now|today|utcnow|localtime)(_|$)|(^|_)current_(time|date)")
"""Names of functions of libraries that read the clock: whatever they call stays unseen."""


def what_it_does(name: str) -> str | None:
    """Return what reading an attribute of that name may do; None if nothing is known of it."""
    if (found := UNSTEADY_ANYWHERE.get(name)) is None and _SAYS_NOW.search(name):
        return _CLOCK
    return found


def is_suspicious(name: str) -> bool:
    """Return whether code that has a name must be looked at."""
    return name in ALL_NAMES or _SAYS_NOW.search(name) is not None


ALL_NAMES = frozenset(
    {
        *UNSTEADY_ANYWHERE,
        *(name.rpartition(".")[2] for name in WHOLE_FUNCTIONS),
        *UNSTEADY_WITHOUT_SEED,
        *UNSTEADY_BUILTINS,
        *UNSTEADY_MODULES,
        *TIMES_IN_WORDS,
        *NATIVE_READERS,
        *(name for names in RANDOM_MODULES.values() for name in names),
    }
)
"""All names above."""
