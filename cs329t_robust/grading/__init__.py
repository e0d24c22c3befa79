"""Release an assignment to students, and grade what they hand in; docs/grading.md says what is trusted."""
