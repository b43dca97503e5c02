"""
What a process that decodes a stranger's file is kept from, enforced by the kernel: that file may take it over.

`confine` is called once by a process that will do one job; it cannot be undone. It needs no privileges: resource limits
anywhere, and on Linux two filters of the kernel. A seccomp filter refuses system calls with EPERM: sockets, new
programs and processes, signals to others, and the kernel interfaces that a decoder has no use for (a list of what is
refused, since a list of what is allowed would break with the next C library). Landlock (since Linux 5.13) allows the
files of the job and no others. Where one is missing the rest still holds; `try_out` reports what really does.

Numbers and structures: ``asm/unistd.h``, ``linux/{seccomp,filter,audit,landlock}.h``.
"""

import ctypes
import os
import platform
import resource
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import ENOSYS, EPERM
from pathlib import Path

MEMORY_BYTES_MAX = 1_536 * 1024 * 1024
"""Less than a bomb wants, more than a clip needs (a 1080p job has 430 MB mapped at its peak)."""

FILES_MAX = 64
IS_LINUX = sys.platform == "linux"
LIBC = ctypes.CDLL(None, use_errno=True) if IS_LINUX else None  # After a fork, nothing may be loaded.

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SECCOMP_SET_MODE_FILTER, SPECULATION_ALLOWED = 1, 1 << 2  # The flag: no slower branches, which old kernels impose.
RET_ALLOW, RET_ERRNO = 0x7FFF_0000, 0x0005_0000
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, MACHINE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
CLONE_THREAD = 0x1_0000
X32 = 0x4000_0000  # x86's third numbering of calls begins here; aarch64 has none that high.

MACHINES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
SECCOMP = {"x86_64": 317, "aarch64": 277}
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
REFUSED = {
    "x86_64": {
        "sockets": (41, 42, 43, 49, 50, 53, 288),  # socket connect accept bind listen socketpair accept4
        "programs": (57, 58, 59, 322),  # fork vfork execve execveat
        "signals": (62, 200, 424),  # kill tkill pidfd_send_signal
        "other processes": (101, 310, 311, 438),  # ptrace process_vm_readv process_vm_writev pidfd_getfd
        "limits": (160, 302),  # setrlimit prlimit64
        "rights": (90, 92, 94, 133, 259, 260, 268, 304, 452),  # chmod (l)chown mknod(at) fch…at open_by_handle_at
        "the kernel": (155, 161, 165, 166, 167, 169, 175, 246, 272, 308, 313, 320),  # mounts, modules, namespaces
        "its newer doors": (248, 249, 250, 298, 319, 321, 323),  # keys perf_event_open memfd_create bpf userfaultfd
        "rings and mounts": (425, 426, 427, 428, 429, 430, 432, 442),  # io_uring_* has sockets of its own
    },
    "aarch64": {
        "sockets": (198, 199, 200, 201, 202, 203, 242),
        "programs": (221, 281),  # This machine has no fork and vfork, only clone.
        "signals": (129, 130, 424),
        "other processes": (117, 270, 271, 438),
        "limits": (164, 261),
        "rights": (33, 53, 54, 265, 452),
        "the kernel": (39, 40, 41, 51, 97, 104, 105, 142, 224, 268, 273, 294),
        "its newer doors": (217, 218, 219, 241, 279, 280, 282),
        "rings and mounts": (425, 426, 427, 428, 429, 430, 432, 442),
    },
}

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION, PATH_BENEATH = 1, 1
FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # Which rights each version learned to withhold.
NETWORK_RIGHTS, SCOPES = 0b11, 0b11  # TCP bind and connect; abstract sockets and signals outside.
READ_FILE = 1 << 2
WRITE_FOLDER = 1 << 1 | READ_FILE | 1 << 5 | 1 << 8 | 1 << 14  # Write, read, remove and make plain files; truncate.


def confine(*, reading: Sequence[Path], writing: Path | None, cpu_s_max: int, file_bytes_max: int) -> None:
    """
    Confine this process: from now on it reads the files *reading* and works in the folder *writing*, and nothing else.

    Past *cpu_s_max* seconds of CPU time, over all threads, it dies of SIGXCPU; a file past *file_bytes_max* is an
    OSError. Files that are already open stay usable, and new threads are confined like this one, which must be the only
    one so far. A part that this system does not support is left out.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max + 1))  # SIGXCPU, and SIGKILL if that is ignored.
    limit(resource.RLIMIT_FSIZE, file_bytes_max)
    if IS_LINUX:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            leave_files(libc, reading, writing)
            refuse_calls(libc, platform.machine())


def limit_resources() -> None:
    """The limits that a process and all its children have from the start."""
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, FILES_MAX)
    if IS_LINUX:
        limit(resource.RLIMIT_AS, MEMORY_BYTES_MAX)


def limit(what: int, most: int) -> None:
    """Neither this process nor a child can raise it again, unless it runs as root."""
    resource.setrlimit(what, (most, most))


def die_with(parent: int) -> None:
    """
    Be killed when the process *parent* is, even in the middle of a job, even stopped; this also applies after an exec.

    On systems other than Linux the end of the input has to do, which is noticed after the job.
    """
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:  # It was faster.
        os._exit(1)


def leave_files(libc: ctypes.CDLL, reading: Sequence[Path], writing: Path | None) -> None:
    """Landlock: no file except these can be opened, made or removed any more."""
    version = libc.syscall(LANDLOCK_CREATE, None, 0, LANDLOCK_VERSION)
    if version < 1:
        return
    rights = sum(bits for since, bits in FILE_RIGHTS.items() if version >= since)
    # An older kernel accepts the longer structure if the part that it does not know is zero.
    attributes = struct.pack("QQQ", rights, NETWORK_RIGHTS * (version >= 4), SCOPES * (version >= 6))
    rules = libc.syscall(LANDLOCK_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return
    for path in reading:
        allow(libc, rules, path, READ_FILE & rights)
    if writing:
        allow(libc, rules, writing, WRITE_FOLDER & rights)
    libc.syscall(LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    """Add one exception; a missing file needs none, and is reported when it is opened."""
    with suppress(OSError):
        place = os.open(path, os.O_PATH)
        try:
            libc.syscall(LANDLOCK_ADD, rules, PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
        finally:
            os.close(place)


def refuse_calls(libc: ctypes.CDLL, machine: str) -> None:
    """Seccomp, for the machines whose numbers we know."""
    if machine not in MACHINES:
        return
    steps = filter_steps(machine)
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    libc.syscall(SECCOMP[machine], SECCOMP_SET_MODE_FILTER, SPECULATION_ALLOWED, header)


def filter_steps(machine: str) -> list[tuple[int, int, int, int]]:
    """
    The filter, as (operation, steps to jump if true, steps to jump if false, value).

    `clone` is examined more closely: libav needs threads. `clone3` keeps its flags where no filter can see them, so it
    is reported as missing, and the C library falls back on `clone`.
    """
    numbers = [number for group in REFUSED[machine].values() for number in group]
    ahead = len(numbers)
    return [
        (LOAD, 0, 0, MACHINE_AT),
        (JUMP_EQUAL, 0, ahead + 7, MACHINES[machine]),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_AT_LEAST, ahead + 5, 0, X32),
        *((JUMP_EQUAL, ahead + 4 - n, 0, number) for n, number in enumerate(numbers)),
        (JUMP_EQUAL, 5, 0, CLONE3),
        (JUMP_EQUAL, 0, 2, CLONE[machine]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (JUMP_ANY_BIT, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, RET_ALLOW),
        (RETURN, 0, 0, RET_ERRNO | EPERM),
        (RETURN, 0, 0, RET_ERRNO | ENOSYS),
    ]


def try_out() -> list[str]:
    """What holds on this system besides the limit on open files; each filter is tested, in a process of its own."""
    if not IS_LINUX:
        return []
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        confine(reading=[], writing=None, cpu_s_max=10, file_bytes_max=1024)
        os.write(theirs, ",".join(name for name, escape in ESCAPES.items() if is_refused(escape)).encode())
        os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours) as pipe:
        return ["memory", "cpu_time", "file_size", *filter(None, pipe.read().split(","))]


def is_refused(escape: Callable[[], object]) -> bool:
    """Whether the kernel refuses."""
    try:
        escape()
    except PermissionError:
        return True
    return False


def start_process() -> None:
    """A child that ends at once, if there is one."""
    if not os.fork():
        os._exit(0)


ESCAPES: dict[str, Callable[[], object]] = {
    "network": socket.socket,
    "processes": start_process,
    "files": lambda: os.close(os.open("/proc/self/status", os.O_RDONLY)),
}
