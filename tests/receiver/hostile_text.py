"""A text that breaks out wherever it is not escaped."""

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;"
