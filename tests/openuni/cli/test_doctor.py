"""openuni doctor: what is judged how, and that whatever is not fine says what to do."""

import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from openuni.annotators import ocr
from openuni.cli.doctor import Check

module = import_module("openuni.cli.doctor")  # the attribute openuni.cli.doctor is the command function


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(module.doctor)
    return app


def by_name(checks):
    return {check.name: check for check in checks}


def test_this_environment_passes_every_core_check():
    checks = by_name(module.report())
    assert [check for check in checks.values() if check.status == "fail"] == []
    assert {"python", "ray", "torch", "opencv", "video codecs", "free disk here", "gpu"} <= checks.keys()
    assert "extra [experts]" in checks


def test_whatever_is_not_fine_says_what_to_do():
    assert all(check.advice for check in module.report() if check.status != "ok")


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10), "fail"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "fail")]
)
def test_python_is_bounded_as_in_pyproject(version, status):
    assert module.check_python(version).status == status


def test_packages_are_compared_with_their_bounds():
    checks = by_name(
        module.check_packages(
            [
                "numpy>=1,<3",
                "rich>=9999",
                "no-such-package>=1",
                "elsewhere>=1; sys_platform == 'nowhere'",
                "numpy>=9999; extra == 'fast'",
                "rich>=1; extra == 'fast'",
                "typer>=0; extra == 'plain'",
                "openuni[fast,plain]; extra == 'all'",
            ]
        )
    )
    assert {name: check.status for name, check in checks.items()} == {
        "numpy": "ok",
        "rich": "fail",
        "no-such-package": "fail",
        "extra [fast]": "warn",
        "extra [plain]": "ok",
    }
    assert "Needs rich>=9999. Run: pip install" in checks["rich"].advice
    assert checks["no-such-package"].found == "not installed"
    assert checks["extra [fast]"].found.startswith("numpy ")
    assert "[fast]" in checks["extra [fast]"].advice


def test_a_checkout_that_is_not_installed_fails_with_the_command():
    (check,) = module.check_packages([])
    assert (check.name, check.status) == ("openuni", "fail")
    assert "pip install" in check.advice


def test_two_opencv_flavours_must_have_one_version():
    check = module.check_cv2({"opencv-python": "4.14.0.94", "opencv-python-headless": "5.0.0.93"})
    assert check.status == "fail"
    assert "must have one version" in check.advice
    assert module.check_cv2({"opencv-python": "4.14.0.94", "opencv-python-headless": "4.14.0.94"}).status == "ok"


def test_an_opencv_without_hog_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace())
    check = module.check_cv2({"opencv-python": "5.0.0.93"})
    assert check.status == "fail"
    assert "without HOGDescriptor" in check.found


@pytest.mark.parametrize("status", ["warn", "fail"])
def test_a_missing_codec_counts_as_the_table_says(monkeypatch, status):
    monkeypatch.setattr(module, "ENCODERS", {"ffv1": "fail", "no_such_codec": status})
    check = module.check_codecs()
    assert check.status == status
    assert check.found == "missing no_such_codec (encode)"


def test_a_broken_decord_is_a_warning_because_pyav_reads_instead(monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)  # import then raises ModuleNotFoundError
    check = module.check_decord()
    assert check.status == "warn"
    assert "PyAV reads instead" in check.advice


def test_missing_weights_of_the_text_filter_fail_with_the_command(monkeypatch):
    assert module.check_ocr() == Check("text filter", "ok", "PP-OCRv6_det_small, PP-OCRv6_rec_small")
    monkeypatch.setattr(ocr, "find_spec", lambda name: None)
    check = module.check_ocr()
    assert (check.status, check.found) == ("fail", "no weights")
    assert "needs the package onnxruntime" in check.advice and "Run: pip install" in check.advice


def test_a_small_machine_is_warned_about_not_failed(monkeypatch, tmp_path):
    for name in ("MIN_RAM_GB", "MIN_FREE_DISK_GB", "MIN_SHM_GB"):
        monkeypatch.setattr(module, name, 1e9)
    monkeypatch.setattr(module.env, "usable_cores", lambda: 1)
    checks = by_name(module.check_machine(tmp_path))
    assert {check.status for check in checks.values()} == {"warn"}
    assert "less than 1e+09 GB" in checks["memory"].found


def test_no_gpu_is_a_warning_and_a_gpu_is_named():
    assert module.check_gpu(None).status == "warn"
    found = module.check_gpu("NVIDIA H200, 143771 MiB, 570.1\nNVIDIA H200, 143771 MiB, 570.1")
    assert found == Check("gpu", "ok", "NVIDIA H200, 143771 MiB, 570.1; NVIDIA H200, 143771 MiB, 570.1")


def test_a_torch_that_sees_no_gpu_is_a_warning_that_names_its_cuda(monkeypatch):
    cuda = SimpleNamespace(is_available=lambda: False)
    torch = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.2"), __version__="2.15.0")
    monkeypatch.setitem(sys.modules, "torch", torch)
    check = module.check_torch_gpu()
    assert (check.status, check.found) == ("warn", "torch 2.15.0 sees no GPU")
    assert "older than CUDA 13.2" in check.advice


def test_a_ray_that_cannot_start_fails_with_its_last_line(monkeypatch):
    monkeypatch.setattr(module, "_RAY_SCRIPT", "import sys; sys.exit('no loopback')")
    check = module.check_ray_start()
    assert (check.status, check.found) == ("fail", "no loopback")
    assert "--ray off" in check.advice


def test_a_ray_that_hangs_fails_in_time(monkeypatch):
    monkeypatch.setattr(module, "_RAY_SCRIPT", "import time; time.sleep(60)")
    monkeypatch.setattr(module, "RAY_START_SECONDS", 0.3)
    assert module.check_ray_start().found == "not within 0 s"


@pytest.mark.slow
def test_ray_starts_here():
    assert module.check_ray_start() == Check("ray starts", "ok", "one task done")


def test_the_command_exits_1_if_a_check_fails_and_shows_advice_unwrapped(monkeypatch, app):
    advice = "Run: " + "a very long command " * 12
    poor = Check("poor", "warn", "2", "Add some.")
    checks = [Check("good", "ok", "1"), poor, Check("extra [bad]", "fail", "3", advice)]
    monkeypatch.setattr(module, "report", lambda **_: checks)
    result = CliRunner().invoke(app)
    assert result.exit_code == 1
    assert f"fail extra [bad]: {advice}" in result.output
    assert "warn poor: Add some." in result.output
    assert "1 of 3 checks failed: extra [bad]" in result.output


def test_the_command_exits_0_with_warnings_only(monkeypatch, app):
    monkeypatch.setattr(module, "report", lambda **_: [Check("poor", "warn", "2", "Add some.")])
    result = CliRunner().invoke(app)
    assert result.exit_code == 0
    assert "The dataset build can run here (1 checks)." in result.output
