"""What all prompts share, appended to each."""

import unicodedata


def with_style(prompt: str, style: str | None) -> str:
    """*prompt* and *style* in one line, joined by the comma of the prompt's script unless it ends with punctuation."""
    if style is None:
        return prompt
    if prompt[-1] in "。，！？；：、…":
        return prompt + style
    if prompt[-1] in ".,!?;:":
        return f"{prompt} {style}"
    letters = [sign for sign in prompt if sign.isalpha()]
    is_wide = bool(letters) and unicodedata.east_asian_width(letters[-1]) in ("W", "F")
    return f"{prompt}{'，' if is_wide else ', '}{style}"
