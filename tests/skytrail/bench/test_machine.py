"""The machine that figures were measured on."""

from pathlib import Path

from skytrail.bench.machine import this_machine


def test_the_model_is_read_from_the_kernel(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Example 9000\n\nprocessor\t: 1\nmodel name\t: Other\n")
    machine = this_machine(cpuinfo)
    assert machine.cpu == "Example 9000"
    assert machine.cores >= 1
    assert "Example 9000" in str(machine)
    assert "CPython 3." in str(machine)


def test_a_machine_whose_kernel_tells_nothing_still_has_a_name(tmp_path: Path) -> None:
    assert this_machine(tmp_path / "absent").cpu
