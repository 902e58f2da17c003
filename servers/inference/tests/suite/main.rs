//! Everything about the engine that is seen from outside: hostile files, the project's own small models, and the reference vectors where they are.

mod adapter;
mod answer;
mod blocks;
mod chat;
mod dice;
mod engine;
mod generator;
mod gguf;
mod grammar;
mod inflate;
mod kernel;
mod reference;
mod sampling;
mod schema;
mod server;
mod session;
mod tokenizer;
mod vectors;
mod writer;
