"""Finding, asking and naming plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sttgate import PluginError, ProviderSpec
from sttgate.plugins import Plugins
from tests.config.support import CHECKOUT, install, install_shipped, provider_plugin, write

ACME = provider_plugin("acme")


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the plugins that may be installed where the tests run."""
    install(monkeypatch, tmp_path / "nothing", {})


def drop(tmp_path: Path, **sources: str) -> Path:
    return write(tmp_path / "drop", {f"{name}.py": text for name, text in sources.items()})


def only_error(plugins: Plugins) -> str:
    assert len(plugins.errors) == 1
    return str(plugins.errors[0])


class TestInstalled:
    def test_entry_point(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installed plugin is known by its entry point, with its distribution, version and file."""
        site = write(tmp_path / "site", {"installed_one.py": ACME})
        install(monkeypatch, site, {"one": "installed_one"}, distribution="acme-stt", version="4.5")
        plugins = Plugins.load().require()
        spec, info = plugins.providers["acme"]
        assert isinstance(spec, ProviderSpec)
        assert (info.name, info.origin) == ("one", "entry point")
        assert (info.distribution, info.version) == ("acme-stt", "4.5")
        assert info.file == site / "installed_one.py"
        assert plugins.loaded == (info,)

    def test_built_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A plugin of sttgate's own distribution is called built-in."""
        site = write(tmp_path / "site", {"installed_two.py": ACME})
        install(monkeypatch, site, {"two": "installed_two"})
        assert Plugins.load().providers["acme"].plugin.origin == "built-in"

    def test_disabled_is_not_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disabled plugin is listed with its file, and none of its code runs."""
        site = write(
            tmp_path / "site", {"package_three/__init__.py": "1/0", "package_three/p.py": "1/0"}
        )
        install(monkeypatch, site, {"three": "package_three.p"}, distribution="three")
        plugins = Plugins.load(disabled=["three"]).require()
        assert [info.file for info in plugins.disabled] == [site / "package_three" / "p.py"]
        assert "package_three" not in sys.modules

    def test_only_allowed_ones_are_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a list of those allowed no line of any other plugin runs, installed or dropped in."""
        site = write(tmp_path / "site", {"installed_bad.py": "1/0", "installed_ok.py": ACME})
        install(monkeypatch, site, {"bad": "installed_bad", "ok": "installed_ok"})
        folder = drop(tmp_path, worse="1/0")
        plugins = Plugins.load([folder], allowed=["ok"]).require()
        assert [info.name for info in plugins.loaded] == ["ok"]
        assert [info.name for info in plugins.disabled] == ["bad", "worse"]
        assert "installed_bad" not in sys.modules
        assert Plugins.load([folder], allowed=[]).loaded == ()
        assert Plugins.load([folder], disabled=["ok"], allowed=["ok"]).loaded == ()

    def test_broken_entry_point(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An entry point to nothing names the plugin, the cause and the line that disables it."""
        install(monkeypatch, tmp_path / "site", {"four": "not_there_four"}, distribution="four")
        error = only_error(Plugins.load())
        assert "plugin 'four' (four)" in error
        assert "No module named 'not_there_four'" in error
        assert "`plugins: {disabled: [four]}`" in error

    def test_unhashable_object(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An entry point to an object that pluggy cannot keep blames its own plugin."""
        site = write(tmp_path / "site", {"installed_five.py": "plugin = {}"})
        install(monkeypatch, site, {"five": "installed_five:plugin"}, distribution="five")
        assert "no hash" in only_error(Plugins.load())

    def test_shipped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The shipped plugins load once, although a checkout's config.yaml names their folder too."""
        names = install_shipped(monkeypatch, tmp_path / "site")
        plugins = Plugins.load([CHECKOUT / "plugins"]).require()
        assert sorted(info.name for info in plugins.loaded) == names
        assert {info.origin for info in plugins.loaded} == {"built-in"}
        assert set(plugins.providers) >= {"deepgram", "echo", "moonshine"}
        assert set(plugins.transcript_stores) >= {"sqlite"}
        assert set(plugins.recording_stores) >= {"files"}

    def test_installed_copy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of an installed plugin and a copy of it in a folder, the installed one counts."""
        site = write(tmp_path / "site", {"installed_seven.py": ACME})
        install(monkeypatch, site, {"seven": "installed_seven"}, distribution="seven")
        folder = drop(tmp_path, installed_seven=ACME, more=provider_plugin("more"))
        plugins = Plugins.load([folder]).require()
        assert plugins.providers["acme"].plugin.file == site / "installed_seven.py"
        assert [file for file, _ in plugins.shadowed] == [folder / "installed_seven.py"]
        assert "more" in plugins.providers

    def test_disabled_stays_off_in_its_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disabled installed plugin does not come back through a drop-in folder."""
        site = write(
            tmp_path / "site", {"package_six/__init__.py": "", "package_six/hooks.py": ACME}
        )
        install(monkeypatch, site, {"six": "package_six.hooks"}, distribution="six")
        plugins = Plugins.load([site], disabled=["six"]).require()
        assert plugins.loaded == ()
        assert len(plugins.disabled) == 1


class TestDroppedIn:
    def test_file_and_package(self, tmp_path: Path) -> None:
        """Modules and packages in a folder are plugins; relative imports work, even late ones."""
        folder = write(
            tmp_path / "drop",
            {
                "one.py": provider_plugin("one"),
                "two/__init__.py": "from .inner import sttgate_providers\n"
                "def late():\n    from . import other\n    return other.VALUE",
                "two/inner.py": provider_plugin("two"),
                "two/other.py": "VALUE = 5",
            },
        )
        plugins = Plugins.load([folder]).require()
        assert sorted(plugins.providers) == ["one", "two"]
        info = plugins.providers["two"].plugin
        assert (info.name, info.origin) == ("two", "folder")
        assert info.file == folder / "two" / "__init__.py"
        package = next(module for name, module in sys.modules.items()
                       if name.startswith("sttgate_plugin_two_") and hasattr(module, "late"))  # fmt: skip
        assert package.late() == 5

    def test_what_is_no_plugin(self, tmp_path: Path) -> None:
        """Names with a leading underscore or dot, folders without __init__.py and data are passed over."""
        folder = write(
            tmp_path / "drop",
            {"_helper.py": "1/0", ".hidden.py": "1/0", "_pack/__init__.py": "1/0",
             "folder/module.py": "1/0", "notes.txt": "", "acme.py": ACME},
        )  # fmt: skip
        plugins = Plugins.load([folder]).require()
        assert [info.name for info in plugins.loaded] == ["acme"]

    def test_two_loads_are_independent(self, tmp_path: Path) -> None:
        """Each load has its own copy of the modules, so that one process can hold several gateways."""
        source = ACME + "\nclass Own: pass\n" + "".join(
            ["@sttgate.hookimpl\ndef sttgate_transcript_stores():\n",
             "    return [sttgate.StoreSpec(name='own', factory=Own)]\n"]
        )  # fmt: skip
        folder = drop(tmp_path, acme=source)
        first, second = Plugins.load([folder]).require(), Plugins.load([folder]).require()
        one, other = (each.transcript_stores["own"].spec.factory for each in (first, second))
        assert one is not other

    def test_same_folder_twice(self, tmp_path: Path) -> None:
        """A file that two folders lead to is loaded once."""
        folder = drop(tmp_path, acme=ACME)
        link = tmp_path / "link"
        link.symlink_to(folder)
        assert len(Plugins.load([folder, link]).require().loaded) == 1

    def test_odd_file_name(self, tmp_path: Path) -> None:
        """A file name that is no identifier is a plugin name all the same."""
        folder = write(tmp_path / "drop", {"my-plugin.v2.py": ACME})
        assert Plugins.load([folder]).require().loaded[0].name == "my-plugin.v2"

    def test_missing_folder(self, tmp_path: Path) -> None:
        """A folder that is not there is an error that names it and the key that lists it."""
        error = only_error(Plugins.load([tmp_path / "none"]))
        assert str(tmp_path / "none") in error
        assert "No such file" in error
        assert "dirs" in error

    @pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
    def test_folder_open_to_all(self, tmp_path: Path) -> None:
        """A folder into which everyone may write is refused, and nothing in it runs."""
        folder = drop(tmp_path, acme="1/0")
        folder.chmod(0o777)
        assert "everyone may write" in only_error(Plugins.load([folder]))

    @pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
    def test_folder_open_to_a_group(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """So is one into which a group may write, unless its owner is alone in that group."""
        import grp
        import pwd

        folder = drop(tmp_path, acme=ACME)
        folder.chmod(0o775)
        owner = pwd.getpwuid(folder.stat().st_uid).pw_name
        for name, members, refused in (
            ("staff", [], True),
            (owner, ["somebody"], True),
            (owner, [owner], False),
            (owner, [], False),
        ):
            group = grp.struct_group((name, "x", folder.stat().st_gid, members))
            monkeypatch.setattr(grp, "getgrgid", lambda gid, group=group: group)
            plugins = Plugins.load([folder])
            assert bool(plugins.errors) is refused, (name, members)
            if refused:
                assert "its group may write to drop" in only_error(plugins)

    @pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
    @pytest.mark.parametrize("name", ["acme.py", "package"])
    def test_plugin_open_to_all(self, tmp_path: Path, name: str) -> None:
        """A plugin to which everyone may write is refused, and nothing of it runs."""
        folder = write(tmp_path / "drop", {"acme.py": "1/0", "package/__init__.py": "1/0"})
        (folder / name).chmod(0o777)
        error = only_error(Plugins.load([folder], disabled=["acme", "package"]))
        assert f"everyone may write to {name}" in error

    def test_failed_import_leaves_nothing(self, tmp_path: Path) -> None:
        """A package that fails half way leaves no module behind."""
        folder = write(
            tmp_path / "drop", {"half/__init__.py": "from . import part\n1/0", "half/part.py": ""}
        )
        before = set(sys.modules)
        error = Plugins.load([folder]).errors[0]
        assert set(sys.modules) == before
        assert isinstance(error.__cause__, ZeroDivisionError)
        assert error.line == 2


BROKEN = {
    "ZeroDivisionError: division by zero": "1/0",
    "SyntaxError": "def broken(:",
    "SystemExit: 3": "raise SystemExit(3)",
    "it implements no hook": "x = 1",
    "no hook 'sttgate_provider' (did you mean 'sttgate_providers'?)": provider_plugin(
        "x", "sttgate_provider"
    ),
    "Argument(s) {'gateway'}": ACME.replace("providers()", "providers(gateway)"),
    "sttgate_providers is async": ACME.replace("def ", "async def "),
    "returned None": ACME.replace("return", "x ="),
    "returned coroutine": ACME.replace("@sttgate", "async def f(): pass\n@sttgate").replace(
        "return [", "return f() or ["
    ),
    "returned ProviderSpec, not a list": ACME.replace("[", "").replace("]", ""),
    "returned str, not a list": ACME.replace("[", "str(").replace("]", ")"),
    "returned int, not ProviderSpec": ACME.replace("[", "[1, "),
    "returned StoreSpec, not ProviderSpec": ACME.replace("ProviderSpec", "StoreSpec"),
    "RuntimeError: in the hook": ACME.replace(
        "return", "raise RuntimeError('in the hook')\n    return"
    ),
    "ValueError: late": ACME.replace("return [", "yield ").replace(
        "]", "\n    raise ValueError('late')"
    ),
    "letters, digits": ACME.replace('"acme"', '"a b"'),
    "factory of 'acme' cannot": ACME.replace("print", "5"),
    "not a pydantic model": ACME.replace("print", "print, options=dict"),
    "an option 'use'": "import pydantic\n"
    + ACME.replace("print", "print, options=pydantic.create_model('O', use=(int, 1))"),
    "the provider 'acme' twice": ACME.replace("[", "2 * ["),
}


@pytest.mark.parametrize("cause", BROKEN)
def test_broken(tmp_path: Path, cause: str) -> None:
    """Whatever is wrong with a plugin, the error has its name, file, cause and the line against it."""
    folder = drop(
        tmp_path, good=provider_plugin("good"), bad=BROKEN[cause], later=provider_plugin("b")
    )
    plugins = Plugins.load([folder])
    error = only_error(plugins)
    assert cause in error
    assert f"plugin 'bad' ({folder / 'bad.py'})" in error
    assert "`plugins: {disabled: [bad]}`" in error
    assert "\n" not in error
    assert sorted(plugins.providers) == ["b", "good"]
    assert Plugins.load([folder], ["bad"]).require()


def test_provider_offered_twice(tmp_path: Path) -> None:
    """The second plugin with a provider's name is broken, and told whose name it is."""
    plugins = Plugins.load([drop(tmp_path, first=ACME, second=ACME)])
    error = only_error(plugins)
    assert "plugin 'second'" in error
    assert "the provider 'acme', and so does the plugin 'first'" in error
    assert plugins.providers["acme"].plugin.name == "first"


def test_same_plugin_name(tmp_path: Path) -> None:
    """Two different files with one plugin name are an error: disabling could not tell them apart."""
    other = write(tmp_path / "other", {"acme.py": provider_plugin("other")})
    assert "has the same name" in only_error(Plugins.load([drop(tmp_path, acme=ACME), other]))


def test_all_broken_plugins_at_once(tmp_path: Path) -> None:
    """``require`` tells about every broken plugin, not about the first one."""
    plugins = Plugins.load(
        [drop(tmp_path, one="1/0", two="import nothing_here"), tmp_path / "none"]
    )
    with pytest.raises(PluginError) as caught:
        plugins.require()
    assert [word in str(caught.value) for word in ("'one'", "'two'", "none")] == [True] * 3


def test_importing_finds_nothing() -> None:
    """Importing the module imports no plugin: that is done by ``load`` alone."""
    code = (
        "import sys, sttgate.plugins; print([n for n in sys.modules if n.startswith('sttgate_')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
