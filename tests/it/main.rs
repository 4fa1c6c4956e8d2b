//! The only integration binary: every test that needs a lake.
#![allow(clippy::unwrap_used, reason = "a test that is surprised should stop")]

mod fault; // a process or a store that dies, wherever it dies
mod house; // the direction of the rooms
mod readme; // every command that the README shows
mod serve; // what programs get over the wire
mod slt; // what SQL answers, by the files of tests/slt
mod story; // what users do, as they would tell it
mod test_lake; // the lake that the others use
