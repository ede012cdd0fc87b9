"""From a folder with files to a ``Config``, or to every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sttgate import PluginError
from sttgate.config import Config, find_config, load_config, load_plugins
from sttgate.errors import ConfigError
from tests.config.support import (
    ACME,
    CHECKOUT,
    STORES,
    install,
    install_shipped,
    provider_plugin,
    write,
)

MARKER = "hunter2-the-marker"


@pytest.fixture(autouse=True)
def nothing_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hide the plugins that may be installed where the tests run."""
    install(monkeypatch, tmp_path_factory.mktemp("nothing"), {})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the plugin ACME dropped in."""
    return write(tmp_path / "home", {"plugins/lab.py": ACME})


def load(
    home: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
    stores: str = STORES,
) -> Config:
    write(home, {"config.yaml": text + stores})
    path = home / "config.yaml"
    return load_config(path, environ=environ or {}, overrides=overrides or {}, cwd=home)


def mistakes(
    home: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
    stores: str = STORES,
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(home, text, environ, overrides, stores)
    assert MARKER not in str(caught.value)
    return str(caught.value).splitlines()


class TestWhole:
    """What a good configuration becomes."""

    def test_everything(self, home: Path) -> None:
        """Each section becomes a typed, frozen part; null blocks are empty ones."""
        config = load(
            home,
            "server: {port: 9}\nproviders: {acme: , eu: {use: acme, threads: 2}}\n"
            "chain: [eu, acme]\nspool:\n",
        )
        assert config.path == home / "config.yaml"
        assert config.base == home
        assert (config.server.host, config.server.port) == ("127.0.0.1", 9)
        assert config.chain == ("eu", "acme")
        assert {name: provider.spec.name for name, provider in config.providers.items()} == {
            "acme": "acme",
            "eu": "acme",
        }
        assert config.providers["eu"].name == "eu"
        assert config.providers["eu"].options.threads == 2
        assert config.transcripts.spec.name == "rows"
        assert config.recordings.options.bucket == "b"
        assert config.plugins.providers["acme"].plugin.name == "lab"
        assert config.warnings == ()
        with pytest.raises(AttributeError):
            config.server = None
        with pytest.raises(TypeError):
            config.providers["x"] = None

    def test_paths_start_from_the_file(self, home: Path) -> None:
        """Relative paths, given or default, nested or in lists, start from the folder of the file."""
        block = "{folders: [a, /b, ~/c], nested: {folder: n}}"
        config = load(home, f"providers: {{acme: {block}}}\nspool: {{path: s}}")
        options = config.providers["acme"].options
        assert options.model_dir == home / "models" / "acme"
        assert options.folders == [home / "a", Path("/b"), Path("~/c").expanduser()]
        assert options.nested.folder == home / "n"
        assert config.spool.path == home / "s"
        assert config.transcripts.options.path == home / "rows.db"

    def test_environment_of_options(self, home: Path) -> None:
        """An option with FromEnv takes its variable when the file leaves it out; .env counts, less."""
        write(home, {".env": f"ACME_KEY={MARKER}\nACME_REGION=from-dotenv"})
        (home / ".env").chmod(0o600)
        text = "providers: {acme: , two: {use: acme, region: from-file}}\nchain: [acme]"
        config = load(home, text, {"ACME_REGION": "from-environ"})
        one, two = config.providers["acme"].options, config.providers["two"].options
        assert (one.region, two.region) == ("from-environ", "from-file")
        assert one.key.get_secret_value() == two.key.get_secret_value() == MARKER
        assert load(home, text, {"ACME_REGION": ""}).providers["acme"].options.region == "eu"

    def test_order_of_sources(self, home: Path) -> None:
        """An option beats a variable, a variable beats the file, the file beats the default."""
        text, variable = "server: {port: 2}\nproviders: {acme: }", {"STTGATE__SERVER__PORT": "3"}
        assert load(home, text).server.port == 2
        assert load(home, text, variable).server.port == 3
        assert load(home, text, variable, {"server.port": "4"}).server.port == 4

    def test_use_from_a_variable(self, home: Path) -> None:
        """A variable can choose another plugin."""
        with_rows = load(home, "providers: {acme: }")
        assert with_rows.transcripts.spec.name == "rows"
        assert (
            "unknown type; installed: 'rows'"
            in mistakes(home, "providers: {acme: }", {"STTGATE__TRANSCRIPTS__USE": "gone"})[0]
        )

    @pytest.mark.parametrize(
        ("providers", "chain"),
        [
            ("{a: {use: acme}}", ("a",)),
            ("{x: {use: acme}, moonshine: {use: acme}}", ("moonshine",)),
        ],
    )
    def test_chain_left_out(self, home: Path, providers: str, chain: tuple[str, ...]) -> None:
        """Without a chain it is the usual one as far as it is configured, or the only provider."""
        assert load(home, f"providers: {providers}").chain == chain

    def test_plugins_folder_is_optional(self, home: Path) -> None:
        """Without `dirs` the folder `plugins` is used if it is there, and missed by nobody if not."""
        stores = STORES.replace("plugins: {dirs: [plugins]}", "")
        assert load(home, "providers: {acme: }", stores=stores).plugins.dirs == (home / "plugins",)
        (home / "plugins").rename(home / "elsewhere")
        assert "unknown type" in mistakes(home, "providers: {acme: }", stores=stores)[0]

    def test_warnings(self, home: Path) -> None:
        """What is odd but harmless is a warning with a place."""
        stores = STORES.replace("dirs:", "disabled: [nobody], dirs:")
        (warning,) = load(home, "providers: {acme: }", stores=stores).warnings
        assert warning.warning
        assert str(warning).startswith("config.yaml:4:22 plugins.disabled[0]: there is no plugin")

    def test_installed_copy(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That a module in the folder is not loaded, but an installed one like it, is a warning."""
        site = write(tmp_path / "site", {"copied_plugin.py": provider_plugin("copied")})
        install(monkeypatch, site, {"copied": "copied_plugin"}, distribution="copied")
        write(home, {"plugins/copied_plugin.py": provider_plugin("copied")})
        (warning,) = load(home, "providers: {acme: }").warnings
        assert str(warning).startswith(
            "plugins/copied_plugin.py:1:1 plugin copied: not loaded, as the"
        )


class TestShipped:
    """The configuration in the checkout, and none at all."""

    @pytest.fixture(autouse=True)
    def shipped(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        install_shipped(monkeypatch, tmp_path_factory.mktemp("site"))

    def test_no_file(self, tmp_path: Path) -> None:
        """Without a file everything has a default, and no folder of plugins is looked at."""
        write(tmp_path, {"plugins/bad.py": "1/0"})
        config = load_config(None, environ={}, cwd=tmp_path)
        assert config.path is None
        assert config.base == tmp_path
        assert list(config.providers) == ["deepgram", "moonshine", "echo"]
        assert config.chain == ("deepgram", "moonshine")
        assert (config.server.host, config.server.port) == ("127.0.0.1", 8000)
        assert config.spool.path == tmp_path / "data" / "spool"
        assert (config.transcripts.spec.name, config.recordings.spec.name) == ("sqlite", "files")
        assert config.plugins.dirs == ()

    def test_variables_without_a_file(self, tmp_path: Path) -> None:
        """A variable changes one key of the shipped configuration and leaves the rest."""
        environ = {"STTGATE__PROVIDERS__SECOND__USE": "echo", "STTGATE__CHAIN": "[second]"}
        config = load_config(None, environ=environ, cwd=tmp_path)
        assert list(config.providers) == ["deepgram", "moonshine", "echo", "second"]
        assert config.chain == ("second",)

    def test_the_file_spells_the_defaults(self, tmp_path: Path) -> None:
        """The commented file says in effect what holds without it, but for the plugins folder."""
        (tmp_path / "plugins").mkdir()
        text = (CHECKOUT / "sttgate" / "config" / "default.yaml").read_text("utf-8")
        (tmp_path / "config.yaml").write_text(text)
        with_file = load_config(tmp_path / "config.yaml", environ={}, cwd=tmp_path).dump()
        folder = f"dirs:\n  - {tmp_path / 'plugins'}\n"
        assert folder in with_file
        without = load_config(None, environ={}, cwd=tmp_path).dump()
        assert with_file.replace(folder, "dirs: []\n") == without

    def test_the_checkout_has_the_same_file(self) -> None:
        """config.yaml of the checkout is the file that `sttgate config init` writes, and it loads."""
        shipped = (CHECKOUT / "sttgate" / "config" / "default.yaml").read_text("utf-8")
        assert (CHECKOUT / "config.yaml").read_text("utf-8") == shipped
        config = load_config(CHECKOUT / "config.yaml", environ={}, cwd=CHECKOUT)
        assert {plugin.origin for plugin in config.plugins.loaded} == {"built-in"}

    def test_disabling_a_shipped_provider(self, tmp_path: Path) -> None:
        """Disabling a plugin takes its provider out of what is shipped; spelled out, it is a mistake."""
        write(tmp_path, {"config.yaml": "plugins: {disabled: [moonshine]}"})
        config = load_config(tmp_path / "config.yaml", environ={}, cwd=tmp_path)
        assert list(config.providers) == ["deepgram", "echo"]
        assert config.chain == ("deepgram",)
        write(tmp_path, {"config.yaml": "providers: {echo: }\nplugins: {disabled: [echo]}"})
        with pytest.raises(ConfigError, match=r"the plugin 'echo' is in plugins\.disabled"):
            load_config(tmp_path / "config.yaml", environ={}, cwd=tmp_path)

    def test_allowing_a_few(self, tmp_path: Path) -> None:
        """Of what is shipped only what is allowed is left, and it is dumped as it was written."""
        allowed = "plugins: {allowed: [echo, sqlite, files, nobody]}\nproviders: {echo: }\n"
        write(tmp_path, {"config.yaml": allowed})
        config = load_config(tmp_path / "config.yaml", environ={}, cwd=tmp_path)
        assert {plugin.name for plugin in config.plugins.loaded} == {"echo", "sqlite", "files"}
        assert [str(warning) for warning in config.warnings] == [
            "config.yaml:1:42 plugins.allowed[3]: there is no plugin by the name 'nobody'"
        ]
        write(tmp_path, {"dump.yaml": config.dump()})
        assert load_config(tmp_path / "dump.yaml", environ={}, cwd=tmp_path).dump() == config.dump()
        write(tmp_path, {"config.yaml": "plugins: {allowed: [echo, files]}"})
        with pytest.raises(ConfigError, match=r"the plugin 'sqlite' is not in plugins\.allowed"):
            load_config(tmp_path / "config.yaml", environ={}, cwd=tmp_path)


class TestMistakes:
    """All of them at once, each with its place."""

    def test_all_at_once(self, home: Path) -> None:
        """Core keys, options, names, references, variables and plugins are told in one go, in order."""
        write(home, {"plugins/bad.py": "\nimport not_there"})
        text = """\
server:
  port: eighty
  prot: 1
providers:
  acme:
    key: ${ACME_SECRET}
    pause_ms: 99
    threads: 1
    threads: 2
    region: 5
    speed: fast
    mode: quik
    words: [a, b, c, d]
    nested: {dept: 2, depth: x}
  other:
  third: {use: akme}
chain: [acne, acme, acme]
servers:
"""
        # fmt: off
        assert mistakes(home, text, {"STTGATE__SERVER__HOST": "''"}, {"spool.path": "[]"}) == [
            "config.yaml:2:9 server.port: must be a whole number",
            "config.yaml:3:3 server.prot: unknown key (did you mean 'port'?)",
            "config.yaml:6:10 providers.acme.key: environment variable ACME_SECRET is not set "
            "(use ${ACME_SECRET:-default} for a default)",
            "config.yaml:7:15 providers.acme.pause_ms: must be >= 100",
            "config.yaml:9:5 providers.acme.threads: duplicate key (first at line 8)",
            "config.yaml:10:13 providers.acme.region: must be text: put it in quotes",
            "config.yaml:11:12 providers.acme.speed: must be a number",
            "config.yaml:12:11 providers.acme.mode: must be 'exact' or 'quick'",
            "config.yaml:13:12 providers.acme.words: must have at most 3 items",
            "config.yaml:14:14 providers.acme.nested.dept: unknown key (did you mean 'depth'?)",
            "config.yaml:14:30 providers.acme.nested.depth: must be a whole number",
            "config.yaml:15:3 providers.other: unknown type; installed: 'acme'",
            "config.yaml:16:16 providers.third.use: unknown type (did you mean 'acme'?); installed: 'acme'",
            "config.yaml:17:9 chain[0]: no provider has the name 'acne' (did you mean 'acme'?)",
            "config.yaml:17:21 chain[2]: 'acme' is in the chain twice",
            "config.yaml:18:1 servers: unknown key (did you mean 'server'?)",
            "--set spool.path: must be a path",
            "STTGATE__SERVER__HOST server.host: must not be empty",
            "plugins/bad.py:2:1 plugin bad: ModuleNotFoundError: No module named 'not_there'; "
            "mend it, or switch it off in config.yaml with `plugins: {disabled: [bad]}`",
        ]
        # fmt: on

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("server: 5", "config.yaml:1:9 server: must be a block of keys"),
            ("server: {port: 65536}", "config.yaml:1:16 server.port: must be <= 65535"),
            ("server: {port: }", "server.port: has no value: write one, or remove the line"),
            ("spool: {}\nproviders: []", "config.yaml:2:12 providers: must be a block of providers by name"),
            ("providers: {}", "config.yaml:1:12 providers: must hold at least one provider"),
            ("providers: {a b: {use: acme}}", "config.yaml:1:13 providers.a b: a provider's name is made of"),
            ("providers: {acme: 5}", "config.yaml:1:19 providers.acme: must be a block of options, or empty"),
            ("providers: {acme: {use: 5}}", "config.yaml:1:25 providers.acme.use: must be the name of a"),
            ("providers: {acme: {fast: 7}}", "providers.acme.fast: must be true or false"),
            ("providers: {acme: {threads: 0}}", "providers.acme.threads: must be > 0"),
            ("providers: {acme: {pause_ms: x}}", "pause_ms: must be false or a whole number"),
            ("providers: {acme: {words: x}}", "words: must be a list, such as [a, b]"),
            ("providers: {acme: {words: [1]}}", "config.yaml:1:28 providers.acme.words[0]: must be text"),
            ("providers: {acme: {nested: 5}}", "nested: must be a block of keys"),
            ("providers: {acme: }\nchain: acme", "config.yaml:2:8 chain: must be a list of providers"),
            ("providers: {acme: }\nchain: []", "config.yaml:2:8 chain: must name at least one provider"),
            ("providers: {acme: }\nchain: [zzz]", "no provider has the name 'zzz'; there are 'acme'"),
            ("providers: {acme: }\nchain: [[acme]]", "chain[0]: must be the name of a provider"),
            ("providers: {a: {use: acme}, b: {use: acme}}",
             "1:1 chain: required key is missing: the providers to try, in order, such as [a, b]"),
        ],
    )  # fmt: skip
    def test_single(self, home: Path, text: str, expected: str) -> None:
        """One mistake gives one message."""
        if "providers" not in text:
            text += "\nproviders: {acme: }"
        (mistake,) = mistakes(home, text)
        assert expected in mistake

    def test_required_option(self, home: Path) -> None:
        """A required option that is missing is told at the block it is missing from."""
        stores = STORES.replace(", bucket: b", "")
        (mistake,) = mistakes(home, "providers: {acme: }", stores=stores)
        assert mistake == "config.yaml:3:1 recordings.bucket: required key is missing"

    def test_option_from_its_variable(self, home: Path) -> None:
        """A bad value that came through FromEnv names the variable."""
        plugin = ACME.replace(
            "threads: int", 'threads: Annotated[int, sttgate.FromEnv("ACME_THREADS")]'
        )
        write(home, {"plugins/lab.py": plugin})
        (mistake,) = mistakes(home, "providers: {acme: }", {"ACME_THREADS": MARKER})
        assert mistake == "ACME_THREADS providers.acme.threads: must be a whole number"

    def test_validator_of_a_plugin(self, home: Path) -> None:
        """A plugin's own validator speaks for itself, and a broken one is not the end of the report."""
        source = """
            import pydantic, sttgate
            class Options(sttgate.Options):
                a: int = 1
                b: int = 1
                @pydantic.model_validator(mode="after")
                def check(self):
                    if self.a == 2:
                        raise KeyError("oops")
                    if self.a > self.b:
                        raise ValueError("Must not be above b")
                    return self
            @sttgate.hookimpl
            def sttgate_providers():
                return [sttgate.ProviderSpec(name="strict", factory=print, options=Options)]
        """
        lines = [line.removeprefix(" " * 12) for line in source.splitlines()]
        write(home, {"plugins/strict.py": "\n".join(lines)})
        text = "providers:\n  strict: {a: 3}\n  again: {use: strict, a: 2}\nchain: [strict]"
        assert mistakes(home, text) == [
            "config.yaml:2:11 providers.strict: must not be above b",
            "config.yaml:3:10 providers.again: its plugin could not check these options (KeyError)",
        ]

    def test_plugin_folder(self, home: Path) -> None:
        """A folder that cannot be used is told where it is listed."""
        (mistake,) = mistakes(
            home, "providers: {acme: }", stores=STORES.replace("[plugins]", "[plugins, none]")
        )
        assert mistake.startswith(
            "config.yaml:4:27 plugins.dirs[1]: it cannot be read (No such file"
        )

    def test_plugin_section(self, home: Path) -> None:
        """A wrong plugin section does not hide the mistakes elsewhere."""
        found = mistakes(
            home, "server: {port: x}\nproviders: {acme: }", stores="\nplugins: {dir: 5}"
        )
        assert "plugins.dir: unknown key (did you mean 'dirs'?)" in "\n".join(found)
        assert "server.port" in "\n".join(found)

    def test_provider_of_a_broken_plugin(self, home: Path) -> None:
        """A provider that is missing because its plugin is broken is told once, and why."""
        write(home, {"plugins/gone.py": "1/0"})
        (mistake,) = mistakes(home, "providers: {gone: }")
        assert "ZeroDivisionError" in mistake

    def test_cause_for_debugging(self, home: Path) -> None:
        """The traceback of a broken plugin hangs on the error."""
        write(home, {"plugins/bad.py": "1/0"})
        with pytest.raises(ConfigError) as caught:
            load(home, "providers: {acme: }")
        assert isinstance(caught.value.__cause__, PluginError)
        assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)


class TestFiles:
    """The file itself."""

    def test_find(self, tmp_path: Path) -> None:
        """STTGATE_CONFIG names the file, else it is config.yaml in the current folder, else none."""
        assert find_config(tmp_path, {}) is None
        write(tmp_path, {"config.yaml": "", "other.yaml": ""})
        assert find_config(tmp_path, {}) == tmp_path / "config.yaml"
        assert find_config(tmp_path, {"STTGATE_CONFIG": ""}) == tmp_path / "config.yaml"
        assert find_config(tmp_path, {"STTGATE_CONFIG": "other.yaml"}) == tmp_path / "other.yaml"

    def test_not_there(self, tmp_path: Path) -> None:
        """A named file that is not there is an error that says how to make one."""
        with pytest.raises(ConfigError, match=r"make one with `sttgate config init none\.yaml`"):
            find_config(tmp_path, {"STTGATE_CONFIG": "none.yaml"})
        with pytest.raises(ConfigError, match=r"make one with `sttgate config init none\.yaml`"):
            load_config(Path("none.yaml"), environ={}, cwd=tmp_path)

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"a: 1\nb: \xff", "config.yaml:2:1: not text in UTF-8"),
            (b"#" * 300_000, "config.yaml:1:1: larger than 256 KiB"),
            (b"a: 'x", "config.yaml:1:4: not closed: expected the closing quote"),
        ],
    )
    def test_unreadable(self, tmp_path: Path, content: bytes, expected: str) -> None:
        """What cannot be read at all is told alone."""
        (tmp_path / "config.yaml").write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path / "config.yaml", environ={}, cwd=tmp_path)
        assert str(caught.value) == expected

    def test_a_folder(self, tmp_path: Path) -> None:
        """A folder is no configuration."""
        with pytest.raises(ConfigError, match="cannot be read"):
            load_config(tmp_path, environ={}, cwd=tmp_path)

    def test_byte_order_mark(self, home: Path) -> None:
        """A byte order mark, which some editors write, changes nothing."""
        assert load(home, "\ufeffproviders: {acme: }").chain == ("acme",)

    def test_elsewhere(self, home: Path, tmp_path: Path) -> None:
        """From another folder, messages name the whole path, and paths still start from the file."""
        other = tmp_path / "other"
        other.mkdir()
        write(home, {"config.yaml": "server: {port: x}\nproviders: {acme: }" + STORES})
        with pytest.raises(ConfigError) as caught:
            load_config(Path("../home/config.yaml"), environ={}, cwd=other)
        assert str(caught.value) == f"{home}/config.yaml:1:16 server.port: must be a whole number"


class TestSecrets:
    """Keys stay out of everything that may be shown."""

    @pytest.fixture
    def config(self, home: Path) -> Config:
        return load(home, "providers: {acme: {key: '${K}'}}", {"K": MARKER})

    def test_repr(self, config: Config) -> None:
        """No part of the configuration shows a secret in its repr."""
        parts = [config, config.providers, config.transcripts, config.plugins, config.server]
        assert MARKER not in repr([*parts, config.providers["acme"].options])

    def test_dump(self, config: Config) -> None:
        """The effective configuration hides secrets unless told otherwise."""
        assert MARKER not in config.dump()
        assert "key: '********'" in config.dump()
        assert MARKER in config.dump(redact=False)

    def test_secret_names(self, home: Path) -> None:
        """An option whose name says that it is a secret is hidden, whatever its type."""
        plugin = ACME.replace("fast: bool", 'auth_token: str = ""\n    fast: bool')
        write(home, {"plugins/lab.py": plugin})
        config = load(home, f"providers: {{acme: {{auth_token: {MARKER}}}}}")
        assert MARKER not in config.dump()

    @pytest.mark.parametrize(
        "text",
        ["server: {port: %s}", "providers: {acme: {threads: %s}}", "providers: {acme: {mode: %s}}",
         "providers: {acme: {nested: %s}}", "server: {host: [%s]}", "providers: {acme: {key: [%s]}}",
         "providers: {acme: {key: *%s}}", "providers: {acme: {key: &%s", "providers: {acme: {key: !%s x}}",
         "providers: {acme: {key: '${%s!}'}}"],
    )  # fmt: skip
    def test_mistakes(self, home: Path, text: str) -> None:
        """A mistake is told without the value that is wrong."""
        assert mistakes(home, text % MARKER)


def test_dump_loads_the_same(home: Path) -> None:
    """What is dumped is a configuration with the same effect."""
    block = "{key: $$x, words: ['no', '1e5', '${A}'], pause_ms: false, speed: .inf, folders: [a]}"
    first = load(home, f"providers: {{acme: {block}}}", {"A": "$${B}"}).dump(redact=False)
    assert load(home, first, stores="").dump(redact=False) == first


class TestPluginsOnly:
    """Looking at plugins does not need a good configuration."""

    def test_other_mistakes(self, home: Path) -> None:
        """Mistakes in other sections and broken plugins do not keep the plugins from being listed."""
        write(home, {"plugins/bad.py": "1/0", "config.yaml": "server: {port: x}"})
        plugins = load_plugins(home / "config.yaml", environ={}, cwd=home)
        assert "acme" in plugins.providers
        assert len(plugins.errors) == 1

    def test_own_mistakes(self, home: Path) -> None:
        """A mistake in the section itself does."""
        write(home, {"config.yaml": "plugins: {dirs: 5}"})
        with pytest.raises(ConfigError, match=r"plugins\.dirs: must be a list"):
            load_plugins(home / "config.yaml", environ={}, cwd=home)


NAMES = ["server", "port", "host", "providers", "acme", "use", "chain", "transcripts", "recordings",
         "spool", "path", "nested", "key", "words", "threads", "pause_ms", "x"]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
GOOD = "server: {host: a, port: 8}\nproviders:\n  acme: {threads: 2, words: [a]}\nchain: [acme]\n"


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Draw a good configuration with a piece cut out and something else put in."""
    start = draw(st.integers(0, len(GOOD)))
    end = draw(st.integers(start, min(len(GOOD), start + 5)))
    return GOOD[:start] + draw(st.text(alphabet="a5:- \n[]{}'\"$*&!#,", max_size=4)) + GOOD[end:]


def test_any_file(home: Path) -> None:
    """Any file gives a Config or a ConfigError, never anything else."""
    from sttgate.config.scalars import write as dump

    texts = st.dictionaries(st.sampled_from(NAMES), values, max_size=5).map(dump)
    stores = "\n" + STORES

    @given(
        st.text() | texts | damaged() | damaged().map(lambda text: text + stores)
        | texts.map(lambda text: text + stores) | st.binary()
    )  # fmt: skip
    @settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    def check(content: str | bytes) -> None:
        path = home / "config.yaml"
        path.write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        )
        try:
            result = load_config(path, environ={}, cwd=home).dump()
        except ConfigError as error:
            result = "".join(map(str, error.problems))
        assert result

    check()


def test_unused_plugin_is_offered(home: Path) -> None:
    """Plugins that nothing uses are loaded all the same: clients of ``Config`` may list them."""
    write(home, {"plugins/more.py": provider_plugin("more")})
    assert set(load(home, "providers: {acme: }").plugins.providers) == {"acme", "more"}
