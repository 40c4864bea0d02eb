//! The chips: each is an AIR (its columns and constraints) and a trace generator. They speak only over the buses of [`crate::bus`].

pub mod accel;
