//! The engine of the inference server: language models of the llama family, from GGUF files, on the CPU.
//!
//! - [`gguf`] reads a file in place, [`value`] its metadata; [`quant`] and [`dequantise`] know the types of tensors, [`half`] numbers of 16 bits.
//! - [`config`] checks the model's numbers, [`model`] finds its tensors, [`adapter`] those of LoRA adapters. [`mod@reference`] runs it slowly and exactly: the oracle.
//! - [`packed`] lays matrices out for the [`kernel`]s, [`input`] what they are multiplied by.
//! - [`engine`] runs a model at speed, by a [`team`] of threads.
//! - [`answer`] makes answers step by step, several in turn, and goes on with one from a record of what it has said.
//! - [`server`] is all of the inference server but the system calls of its threads.
//! - [`tokenizer`] turns text into tokens and back. [`sampling`] chooses the next one. [`chat`] writes conversations. [`grammar`] says which tokens may come.
//!
//! Absent: threads, files, clocks and system calls. Whoever uses the library brings the bytes of a file.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod adapter;
pub mod answer;
mod attention;
mod bytes;
pub mod chat;
pub mod config;
pub mod dequantise;
mod elementwise;
pub mod engine;
pub mod error;
pub mod gguf;
pub mod grammar;
pub mod half;
pub mod input;
mod kept;
pub mod kernel;
pub mod model;
pub mod packed;
pub mod quant;
pub mod reference;
pub mod sampling;
pub mod server;
mod shared;
pub mod team;
pub mod tokenizer;
pub mod value;

pub use error::Error;
