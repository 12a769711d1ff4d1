//! `pxectl capture` over files: what it reads of every format, what it does with damage, what it writes,
//! and whether Wireshark's dissector agrees with all of it.
//!
//! Some of these tests need programs that `tests/run` installs. Where one is missing they say so and
//! prove nothing, unless `PXECTL_REQUIRE_FIRMWARE=1` makes the lack a failure.

mod command;
mod damage;
mod files;
mod options;
mod sample;
mod secrets;
mod wireshark;
