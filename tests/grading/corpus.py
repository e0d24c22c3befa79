"""Answers to exercise 02.4 that attack the grader, each with what must come of it.

A row is a name, the text of the answer's cell, the points (5 is full marks), and a pattern for what the student is told.
"""

RIGHT = "torch.minimum(torch.maximum(x_adv, x - eps), x + eps).clamp(0, 1)"


def answer(body, before="", result=RIGHT):
    """Return a cell whose function does `body` and then returns `result`."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return f"{before}\n\n\ndef project_linf(x, x_adv, eps):\n{lines}    return {result}"


def once(body):
    """Return a cell that does `body` when its function is called for the first time."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return answer("if not DONE:\n    DONE.append(1)\n" + lines, "DONE = []")


ROWS = [
    # it does not end
    ("infinite loop", answer("while True: pass"), 0, "stopped after .* s"),
    ("endless sleep", answer("import time; time.sleep(10**6)"), 0, "stopped after"),
    (
        "endless import",
        answer("pass", "def wait():\n    while True: pass\n\n\nNEVER = wait()", "NEVER"),
        0,
        "stopped after",
    ),
    (
        "endless repr",
        answer("class A(BaseException):\n    def __str__(self):\n        while True: pass\nraise A"),
        0,
        "stopped",
    ),
    ("endless loop elsewhere", f"{answer('pass')}\n\n\nwhile True: pass", 5, ""),
    (
        "deaf to signals",
        answer(
            "import signal\nfor s in set(signal.valid_signals()) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
        ),
        0,
        "stopped after",
    ),
    ("endless farewell", answer("pass", "import atexit\natexit.register(lambda: [0 for _ in iter(int, 1)])"), 5, ""),
    # it ends too early
    ("sys.exit", answer("import sys; sys.exit(0)"), 0, "raised SystemExit"),
    ("os._exit", answer("import os; os._exit(0)"), 0, "ended its own process"),
    ("abort", answer("import os; os.abort()"), 0, "ended by signal"),
    ("crash", answer("import ctypes; ctypes.string_at(0)"), 0, "ended by signal"),
    ("kills everything", answer("import os, signal; os.kill(-1, signal.SIGKILL)"), 0, "ProcessLookupError|ended"),
    ("kills its parent", answer("import os, signal; os.kill(os.getppid(), 9) if os.getppid() else 0"), 5, ""),
    ("KeyboardInterrupt", answer("raise KeyboardInterrupt"), 0, "raised KeyboardInterrupt"),
    (
        "deep recursion",
        answer("import sys; sys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)"),
        0,
        "ended|raised|stopped",
    ),
    # it takes too much
    ("fork bomb", answer("import os\nwhile True: os.fork()"), 0, "BlockingIOError|stopped|ended"),
    (
        "thread bomb",
        answer("import threading, time\nfor _ in range(9999): threading.Thread(target=time.sleep, args=(99,)).start()"),
        0,
        "raised RuntimeError",
    ),
    (
        "memory bomb",
        answer("a = []\nwhile True: a.append(bytearray(10**8))"),
        0,
        "raised MemoryError|stopped: it used more",
    ),
    ("tensor bomb", answer("torch.ones(10**11)"), 0, "raised RuntimeError"),
    ("expanded answer", answer("pass", result="torch.zeros(1).expand(10**11)"), 0, "raised RuntimeError"),
    (
        "memory bomb of many processes",
        answer(
            "import os, time\nfor _ in range(8):\n    if not os.fork():\n        a = b'x' * (3 * 10**8)\n        time.sleep(99)\ntime.sleep(99)"
        ),
        0,
        "used more than",
    ),
    ("gigabytes of print", once("import sys\nfor _ in range(3000): sys.stdout.write('x' * 10**6)"), 5, ""),
    ("gigabytes of print past Python", once("import os\nfor _ in range(3000): os.write(2, b'x' * 10**6)"), 5, ""),
    (
        "disk bomb",
        answer("f = open('a', 'wb')\nwhile True: f.write(b'x' * 10**6)"),
        0,
        "raised OSError|ended by signal",
    ),
    ("inode bomb", answer("n = 0\nwhile True:\n    open(str(n), 'w').write('x')\n    n += 1"), 0, "raised OSError"),
    ("descriptor bomb", answer("a = []\nwhile True: a.append(open('/dev/null'))"), 0, "raised OSError"),
    ("large answer", answer("pass", result="torch.zeros(3 * 10**7)"), 0, "was no answer"),
    (
        "lifts its limits",
        answer("import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))"),
        0,
        "not allowed to raise",
    ),
    # it changes what it can reach
    (
        "patched torch",
        answer(
            "pass",
            "torch.equal = torch.allclose = lambda *a, **k: True\ntorch.Tensor.__sub__ = lambda a, b: a * 0",
            "x_adv",
        ),
        0,
        "left",
    ),
    ("patched checks", answer("import cs329t_robust.checks.exercise"), 0, "raised ModuleNotFoundError"),
    ("silent checks", answer("from cs329t_robust import checks\nchecks.lesson('02').project_linf(0)"), 5, ""),
    (
        "deletes files",
        once(
            "import cs329t_robust, os, shutil\nfor p in (os.path.dirname(cs329t_robust.__file__), '/bin', '/home', '/tmp', '/dev', '/scratch'): shutil.rmtree(p, ignore_errors=True)"
        ),
        5,
        "",
    ),
    (
        "writes to Python",
        answer("import torch as t\nopen(t.__file__, 'a').write('x')"),
        0,
        "raised (OSError|PermissionError)",
    ),
    (
        "new namespaces",
        answer("import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0, 'refused'"),
        0,
        "refused",
    ),
    ("mounts", answer("import ctypes\nassert ctypes.CDLL(None).umount2(b'/scratch', 2) == 0, 'refused'"), 0, "refused"),
    ("becomes root", answer("import os\nos.setuid(0)\nos.chown('/usr', 0, 0)"), 0, "raised (PermissionError|OSError)"),
    (
        "leaves a daemon",
        answer(
            "import os, time\nif not os.fork():\n    os.setsid()\n    if not os.fork():\n        time.sleep(10**6)\n    os._exit(0)"
        ),
        5,
        "",
    ),
    ("changes its own arguments", answer("x.zero_()"), 0, "in place"),
    (
        "fake checks in memory",
        once("import sys, types\nsys.modules['cs329t_robust.checks'] = types.ModuleType('cs329t_robust.checks')"),
        5,
        "",
    ),
    (
        "fake torch beside it",
        once(
            "import sys\nfor name in ('torch', 'check', 'cs329t_robust'): open(name + '.py', 'w').write('raise SystemExit')\nsys.path.insert(0, '')"
        ),
        5,
        "",
    ),
    (
        "patched worker",
        once(
            "import gc, types\nfor m in gc.get_objects():\n    if isinstance(m, types.ModuleType) and 'worker' in m.__name__: m.__dict__.clear()"
        ),
        0,
        "ended|was no answer|raised|stopped",
    ),
    ("another program", answer("import os; os.execv('/bin/true', ['true'])"), 0, "ended its own process|raised"),
    (
        "a shell",
        answer("import subprocess\nsubprocess.run('kill -9 -1; rm -rf / --no-preserve-root', shell=True)"),
        5,
        "",
    ),
    # it looks for the solution
    (
        "solutions on disk",
        once(
            "import os\nfound = []\nfor folder, inner, names in os.walk('/'):\n    inner[:] = [i for i in inner if i not in ('usr', 'torch', 'nvidia', 'scipy', 'jupyter')]\n    found += [f for f in (folder, *names) if 'lessons' in f or 'checks/lesson' in f or 'submission' in f]\nassert found, 'found none'"
        ),
        0,
        "found none",
    ),
    (
        "home folder",
        answer("import os\nassert os.listdir('/scratch') or os.path.exists('/proc/1'), 'nothing there'"),
        0,
        "nothing there",
    ),
    (
        "the judge's memory",
        answer("import gc\nassert [o for o in gc.get_objects() if type(o).__name__ == 'Mistake'], 'found none'"),
        0,
        "found none",
    ),
    (
        "the installed package",
        answer(
            "import sys\nsys.path.pop(0)\nsys.modules = {}\nimport importlib\nimportlib.import_module('cs329t_robust.checks.lesson_02')"
        ),
        0,
        "raised",
    ),
    # it calls out
    ("sends home", answer("import socket\nsocket.create_connection(('1.1.1.1', 80), 2)"), 0, "raised OSError"),
    ("name server", answer("import socket\nsocket.getaddrinfo('example.com', 80)"), 0, "raised"),
    (
        "abstract socket",
        answer("import socket\nsocket.socket(socket.AF_UNIX).connect('\\0/tmp/.X11-unix/X0')"),
        0,
        "raised",
    ),
    # it talks to the judge
    ("garbage to the judge", answer("import os\nos.write(3, b'\\xff' * 100)"), 0, "was no answer"),
    ("hangs up", answer("import os\nos.close(3)"), 0, "ended its own process"),
    (
        "half a message",
        answer("import os, time\nos.write(3, b'\\x10\\0\\0\\0\\0\\0\\0\\0')\ntime.sleep(10**6)"),
        0,
        "stopped|was no answer",
    ),
    (
        "forged verdict",
        answer(
            "import os, json, struct\nm = json.dumps({'score': 5, 'call': 1, 'report': {'score': 5}}).encode()\nos.write(3, struct.pack('<II', len(m), 0) + m)"
        ),
        0,
        "was no answer",
    ),
    (
        "nested JSON",
        answer("import os, struct\nm = b'[' * 900000\nos.write(3, struct.pack('<II', len(m), 0) + m)"),
        0,
        "was no answer",
    ),
    (
        "pickle",
        answer(
            "class A:\n    def __reduce__(self):\n        import os\n        return os.system, ('touch /tmp/pwned',)",
            result="A()",
        ),
        0,
        "returned a A",
    ),
    (
        "lying tensor",
        answer(
            "class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, *a, **k): return True",
            result="x.as_subclass(T)",
        ),
        0,
        "your function returns|differ|left|You",
    ),
    ("nested answer", answer("a = []\nfor _ in range(50): a = [a]", result="a"), 0, "returned a list"),
    ("endless answer", answer("a = []\na.append(a)", result="a"), 0, "returned a list"),
    ("huge number", answer("pass", result="10**9000"), 0, "returned a int|raised"),
    ("strange signature", "def project_linf(*a):\n    pass\n\n\nproject_linf.__signature__ = 5", 0, ""),
    ("long error", answer("raise ValueError('x' * 10**8)"), 0, "raised ValueError"),
    ("no function", "project_linf = 5", 0, "Expected the function itself"),
    ("another name", "def projection(x, x_adv, eps):\n    return x", 0, "keep the function's name"),
    # it is no Python
    ("syntax error", "def project_linf(x, x_adv, eps)\n    return x", 0, "is no Python .line 1"),
    ("null byte", "def project_linf(x):\n    return '\0'", 0, "is no Python"),
    ("half a surrogate", "def project_linf(x, x_adv, eps):\n    return '\ud800'", 0, "is no Python|returned a"),
    (
        "deep brackets",
        f"def project_linf(x, x_adv, eps):\n    return {'(' * 5000}x{')' * 5000}",
        0,
        "is no Python|ended",
    ),
    ("deep operators", f"def project_linf(x, x_adv, eps):\n    return {'-' * 200000}x", 0, "is no Python|ended"),
    ("magics", f"%time\n!ls\n{answer('pass')}\n%matplotlib inline", 5, ""),
]
