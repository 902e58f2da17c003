//! Random models to measure with, in the shape of TinyLlama 1.1B, by the tests' generator.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use inference::quant::Kind;

use crate::Failure;
use crate::generator::{self, Plan};

/// Which model, and where to.
#[derive(Args)]
pub(crate) struct Model {
    /// The type of its matrices, as files are called: F16, Q8_0, Q4_K_M and so on.
    #[arg(long, value_parser = kind)]
    kind: (Kind, bool),
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file.
    #[arg(long)]
    out: PathBuf,
}

/// A type, and whether some matrices have more bits.
fn kind(name: &str) -> Result<(Kind, bool), String> {
    let (plain, mixed) = name.strip_suffix("_M").map_or((name, false), |plain| (plain, true));
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == plain && (!mixed || matches!(kind, Kind::Q4_K | Kind::Q5_K)));
    kind.map(|kind| (kind, mixed)).ok_or_else(|| format!("there is no type {name}"))
}

impl Model {
    /// Makes the file.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let (kind, mixed) = self.kind;
        let small = Plan::small(kind, self.seed);
        let plan = Plan { width: 2048, layers: 22, heads: 32, kv_heads: 4, inner: 5632, tokens: 32000, context: 2048, mixed, ..small };
        Ok(fs::write(&self.out, generator::model(&plan))?)
    }
}
