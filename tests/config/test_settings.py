"""From the environment, a .env file or a secret's file; a bad one is named, a misspelled one is hinted at."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from framerelay.config.env_file import SettingInvalid
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings, from_environment, setting_specs


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without a .env file."""
    monkeypatch.chdir(tmp_path)


def test_without_any_variable_everything_has_its_default(tmp_path: Path) -> None:
    """The folders are in the working directory and are named in full, so that a later chdir moves nothing."""
    settings = from_environment({})

    assert settings.port == 8080
    assert settings.host == "127.0.0.1"
    assert settings.data_dir == tmp_path / "data"
    assert settings.config_file == tmp_path / "framerelay.yaml"
    assert settings.upstream_url is None
    assert settings.reachable_url == settings.listen_url == settings.command_url == "http://127.0.0.1:8080"


def test_the_environment_is_read(tmp_path: Path) -> None:
    """Each value as its own type; spaces around it do not count, and an empty one is like one that is not set."""
    settings = from_environment(
        {
            "FRAMERELAY_UPSTREAM_URL": " https://api.example.com/ ",
            "FRAMERELAY_UPSTREAM_KEY": "sk-x",
            "FRAMERELAY_PORT": "9000",
            "FRAMERELAY_HOST": "::1",
            "FRAMERELAY_DATA_DIR": "elsewhere",
            "FRAMERELAY_TRUSTED_HOSTS": "127.0.0.1:8090, Media.Internal,,",
            "FRAMERELAY_TRUSTED_PROXIES": "10.0.0.0/8, ::1,",
            "FRAMERELAY_LOOKUP_AFTER_S": "2.5",
            "FRAMERELAY_HANDOFF": "serve",
            "FRAMERELAY_PUBLIC_URL": "",
        }
    )

    assert settings.upstream_url == "https://api.example.com"
    assert str(settings.upstream_key) == "sk-x"
    assert settings.port == 9000
    assert settings.listen_url == "http://[::1]:9000"
    assert settings.data_dir == tmp_path / "elsewhere"
    assert settings.trusted_hosts == {"127.0.0.1:8090", "media.internal"}
    assert {str(network) for network in settings.trusted_proxies} == {"10.0.0.0/8", "::1/128"}
    assert settings.lookup_after_s == 2.5
    assert settings.handoff == "serve"
    assert settings.public_url is None


def test_a_dot_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    """Quotes, comments and a shell's ``export`` are understood."""
    (tmp_path / ".env").write_text(
        "# ours\nFRAMERELAY_PORT=9001\nFRAMERELAY_HOST='0.0.0.0'\nexport FRAMERELAY_UPSTREAM_KEY=\"sk-文件\"\n",
        encoding="utf-8",
    )
    settings = from_environment({"FRAMERELAY_PORT": "9002"})

    assert (settings.port, settings.host, str(settings.upstream_key)) == (9002, "0.0.0.0", "sk-文件")
    assert settings.listen_url == "http://127.0.0.1:9002"


def test_a_dot_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """One sentence, no traceback."""
    (tmp_path / ".env").write_bytes(b"FRAMERELAY_PORT=\xff\xfe")

    with pytest.raises(SettingInvalid, match=r"\.env: it is not utf-8 text"):
        from_environment({})


def test_every_secret_can_come_from_a_file(tmp_path: Path) -> None:
    """As container platforms give them; the variable itself wins."""
    secrets = [spec.variable for _, spec, _ in setting_specs() if spec.secret]
    assert {"FRAMERELAY_UPSTREAM_KEY", "FRAMERELAY_API_KEY", "FRAMERELAY_SECRET"} <= set(secrets)
    for name in secrets:
        field = name.removeprefix("FRAMERELAY_").lower()
        in_file, direct = "from the file", "direct"
        if name == "FRAMERELAY_NOTIFY_SECRET":  # It has a form.
            in_file, direct = "whsec_" + "A" * 32, "whsec_" + "B" * 32
        (tmp_path / "key").write_text(f"{in_file}\n")
        in_files = {f"{name}_FILE": str(tmp_path / "key")}
        for environ, text in ((in_files, in_file), ({**in_files, name: direct}, direct)):
            value = getattr(from_environment(environ), field)
            assert str(value[0] if isinstance(value, tuple) else value) == text


def test_one_setting_can_hold_several_keys(tmp_path: Path) -> None:
    """With commas between or on lines of a file, for a change of keys without an outage."""
    (tmp_path / "keys").write_text("new,\nold,\n")
    for environ in ({"FRAMERELAY_API_KEY": " new, old ,"}, {"FRAMERELAY_API_KEY_FILE": str(tmp_path / "keys")}):
        assert [str(key) for key in from_environment(environ).api_key] == ["new", "old"]


@pytest.mark.parametrize("text", ["A" * 32, "whsec_", "whsec_short", "whsec_" + "ä" * 32, "whsec_" + "A" * 32 + ", x"])
def test_a_secret_that_cannot_sign_stops_the_start_and_is_not_shown(text: str) -> None:
    """Receivers' libraries take only this form; a wrong one would be found when the first of them fails."""
    with pytest.raises(SettingInvalid) as failure:
        from_environment({"FRAMERELAY_NOTIFY_SECRET": text})

    assert str(failure.value).startswith("FRAMERELAY_NOTIFY_SECRET: it must be whsec_ and the base64 of 24 to 64 bytes")


def test_a_secrets_file_without_a_secret_is_named(tmp_path: Path) -> None:
    """Missing, empty, a folder, not text: going on without the key would only fail later."""
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    for name in ("missing", "empty", "odd", "."):
        with pytest.raises(SettingInvalid, match="FRAMERELAY_UPSTREAM_KEY_FILE") as error:
            from_environment({"FRAMERELAY_UPSTREAM_KEY_FILE": str(tmp_path / name)})
        assert str(tmp_path) in str(error.value)


BAD = [
    ("FRAMERELAY_PORT", "http", "number"),
    ("FRAMERELAY_PORT", "70000", "between 0 and 65535"),
    ("FRAMERELAY_PORT", "8080 # ours", "number"),
    ("FRAMERELAY_UPSTREAM_URL", "api.example.com", "http://"),
    ("FRAMERELAY_UPSTREAM_URL", "ftp://api.example.com", "http://"),
    ("FRAMERELAY_UPSTREAM_URL", "https://", "http://"),
    ("FRAMERELAY_UPSTREAM_URL", "https://api.example.com:port", "http://"),
    ("FRAMERELAY_UPSTREAM_URL", "https://[::1", "http://"),
    ("FRAMERELAY_UPSTREAM_URL", "https://a b.example.com", "http://"),
    ("FRAMERELAY_UPSTREAM_URL", "https://xn--a", "http://"),
    ("FRAMERELAY_PUBLIC_URL", "https://xn--localhost-/relay", "http://"),
    ("FRAMERELAY_PUBLIC_URL", "https://relay.example.com/?x=1", "before any"),
    ("FRAMERELAY_REDIS_URL", "localhost:6379", "redis://"),
    ("FRAMERELAY_REDIS_URL", "redis+sentinel://a:1,b:2", "NAME that the sentinels watch"),
    ("FRAMERELAY_REDIS_URL", "redis+cluster://a:1,b:2/1", "a cluster has database 0 alone"),
    ("FRAMERELAY_REDIS_URL", "rediss+cluster://a:1,,b:2", "HOST:PORT,HOST:PORT"),
    ("FRAMERELAY_REDIS_URL", "cluster://a:1", "rediss+cluster://"),
    ("FRAMERELAY_HANDOFF", "magic", "auto, upload, serve"),
    ("FRAMERELAY_LOG_LEVEL", "loud", "debug, info"),
    ("FRAMERELAY_LOOKUP_AFTER_S", "soon", "number"),
    ("FRAMERELAY_LOOKUP_AFTER_S", "-1", "above 0"),
    ("FRAMERELAY_LOOKUP_AFTER_S", "nan", "above 0"),
    ("FRAMERELAY_LOOKUP_AFTER_S", "inf", "above 0"),
    ("FRAMERELAY_CALLBACK_BYTES_MAX", "0", "1 or more"),
    ("FRAMERELAY_CALLBACK_BYTES_MAX", "1MB", "number"),
    ("FRAMERELAY_TRUSTED_HOSTS", "http://127.0.0.1:8090", "without http://"),
    ("FRAMERELAY_TRUSTED_PROXIES", "proxy.internal", "addresses or networks"),
    ("FRAMERELAY_TRUSTED_PROXIES", "10.0.0.1/8", "addresses or networks"),
    ("FRAMERELAY_REFUSALS_PER_MINUTE", "0", "1 or more"),
]


@pytest.mark.parametrize(("name", "value", "reason"), BAD)
def test_a_bad_value_is_named_with_its_variable_and_the_reason(name: str, value: str, reason: str) -> None:
    """One sentence that says what to change."""
    with pytest.raises(SettingInvalid) as error:
        from_environment({name: value})

    assert str(error.value).startswith(f"{name} = {value!r}: it must ")
    assert reason in str(error.value)


def test_a_password_in_a_bad_address_is_not_shown() -> None:
    """The sentence goes to terminals and logs."""
    for name, value in (
        ("FRAMERELAY_REDIS_URL", "redis//:hunter2@10.0.0.1/0"),
        ("FRAMERELAY_REDIS_URL", "http://:hunter2@10.0.0.1/0"),
        ("FRAMERELAY_REDIS_URL", "redis+cluster://:hunter2@10.0.0.1/1"),
        ("FRAMERELAY_UPSTREAM_URL", "https://user:hunter2@api.example.com"),
        ("FRAMERELAY_UPSTREAM_URL", "user:hunter2@api.example.com"),
    ):
        with pytest.raises(SettingInvalid, match=name) as error:
            from_environment({name: value})
        assert "hunter2" not in str(error.value)


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    """A debugger's or a traceback's print is no leak."""
    settings = from_environment({"FRAMERELAY_UPSTREAM_KEY": "hunter2", "FRAMERELAY_SECRET": "hunter3"})

    assert "hunter" not in repr(settings)


def test_settings_do_not_change() -> None:
    """Read once at start."""
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_a_misspelt_variable_is_hinted_at(tmp_path: Path) -> None:
    """In the environment or in the file: a typo must not be silently without effect."""
    (tmp_path / ".env").write_text("FRAMERELAY_HANDOF=serve\nOTHER=1\n")
    sentences = misspellings({"FRAMERELAY_UPSTREAM_KEYS": "x", "FRAMERELAY_PORT": "1", "PATH": "/bin"})

    assert sentences == [
        "FRAMERELAY_HANDOF is not a FrameRelay setting (did you mean FRAMERELAY_HANDOFF?); it has no effect",
        "FRAMERELAY_UPSTREAM_KEYS is not a FrameRelay setting (did you mean FRAMERELAY_UPSTREAM_KEY?); "
        "it has no effect",
    ]


def test_a_file_is_offered_for_secrets_only() -> None:
    """``FRAMERELAY_PORT_FILE`` would have no effect, and that is reported."""
    assert misspellings({"FRAMERELAY_SECRET_FILE": "x", "FRAMERELAY_API_KEY_FILE": "x"}) == []
    assert len(misspellings({"FRAMERELAY_PORT_FILE": "x"})) == 1
    assert misspellings({}) == []


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("s3://my-films", "s3://my-films"),
        ("s3://my-films/studio/", "s3://my-films/studio"),
        ("gs://films_2/a/b.c", "gs://films_2/a/b.c"),
        ("az://container", "az://container"),
    ],
)
def test_a_store_is_a_bucket_and_maybe_a_prefix(text: str, store: str) -> None:
    """A slash at the end makes no other place."""
    assert from_environment({"FRAMERELAY_STORE": text}).store == store


@pytest.mark.parametrize(
    "text",
    [
        *("my-films", "s3:/my-films", "s3://", "s3://a", "S3://my-films", "https://my-films.s3.amazonaws.com"),
        *("s3://my-films/../others", "s3://key:secret@my-films", "s3://my-films/a?b", "s3://my films", "file:///srv"),
        *("s3://my-films//studio", "s3://my-films/./studio"),
    ],
)
def test_what_is_no_store_stops_the_start(text: str) -> None:
    """Guessed at, a mistake in it would be another place, and empty."""
    with pytest.raises(SettingInvalid, match=r"s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"):
        from_environment({"FRAMERELAY_STORE": text})
