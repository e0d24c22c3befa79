"""Tiny lesson sources that the tests of the builder share."""

from pathlib import Path

HEADER = """---
kernelspec:
  name: cs329t-robust
  display_name: CS 329T Robustness
  language: python
---

"""
EXERCISE = '''```{code-cell} python3
---
exercise: "90.1"
role: answer
tags: [keep-me]
---
def double(x):
    """Return 2x."""
    ### BEGIN SOLUTION
    secret = x + x

    return secret
    ### END SOLUTION
```

```{code-cell} python3
---
exercise: "90.1"
role: check
---
check.double(double)
```

<details><summary>Hint 1</summary>Add.</details>

'''
DISCUSSION = '+++ {"exercise": "90.D1", "role": "discussion"}\n\nWhat do you think?\n\n+++\n'


def write(home: Path, body: str, name: str = "90_tiny.md") -> Path:
    """Write a source of `body` into a lessons folder, and return its path."""
    path = home / "source" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER + body, encoding="utf-8")
    return path


def cell(code: str, options: str = "") -> str:
    """Return a code cell in MyST Markdown."""
    return f"```{{code-cell}} python3\n{options}{code}\n```\n\n"


CHECK = cell("class check:\n    def double(function):\n        print(function.__name__)")
