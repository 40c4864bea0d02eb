//! The real binary, from outside: its demo, kills at any moment, and recovery from L1 alone.

mod attester;
mod base_token;
mod calldata;
mod cheats;
mod demo;
mod doctor;
mod explorer;
mod kill;
mod l1_gone;
mod load;
mod prove;
mod recover;
mod refusal;
mod rewind;
mod shared;
mod starts;
mod taken_back;
mod world;
