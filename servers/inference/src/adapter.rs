//! A LoRA adapter in its file: for some of a model's matrices two thin ones, whose product is added to it (Hu and others 2021).
//!
//! The file is GGUF like a model's, as llama.cpp's converter writes it: `general.type` is `adapter`, `adapter.type` is `lora`, and each matrix has `NAME.lora_a`
//! and `NAME.lora_b`. What [`Adapter::read`] returns fits the model that it was read for. What the file asks for beyond that (norms, activation by tokens) is refused
//! and not passed over: the texts would be wrong and nobody would know why.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;

use crate::error::Error;
use crate::gguf::{File, Tensor};
use crate::model::{Model, Place};
use crate::value::Value;

/// An adapter that fits a model.
#[derive(Clone, Debug)]
pub struct Adapter<'a> {
    /// What the deltas are multiplied by, times their rank; 0 is for an adapter that does not say.
    alpha: f64,
    deltas: BTreeMap<Place, Delta<'a>>,
}

/// What is added to one matrix: `expand * narrow`.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// One row for each of the delta's ranks, as long as the matrix's; for the embedding one row for each token, as long as there are ranks.
    pub narrow: Tensor<'a>,
    /// One row for each of the matrix's, as long as there are ranks; for the embedding one for each element of the residual stream.
    pub expand: Tensor<'a>,
}

impl Delta<'_> {
    /// How many ranks it has.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.expand.columns
    }

    /// Whether it has the shape that a delta at `place` of `matrix` must have.
    fn fits(&self, place: Place, matrix: &Tensor<'_>) -> bool {
        let (narrow, expand) = (&self.narrow, &self.expand);
        let shapes = ((narrow.rows, narrow.columns), expand.rows);
        let expected = match place {
            Place::Embedding => ((matrix.rows, self.rank()), matrix.columns),
            _ => ((self.rank(), matrix.columns), matrix.rows),
        };
        self.rank() > 0 && shapes == expected
    }
}

fn refused<T>(why: &str) -> Result<T, Error> {
    Err(Error::Adapter(why.to_owned()))
}

fn check_kind(file: &File<'_>, architecture: &str) -> Result<(), Error> {
    for (key, expected) in [("general.type", "adapter"), ("adapter.type", "lora"), ("general.architecture", architecture)] {
        match file.text(key) {
            Some(text) if text == expected => {}
            Some(text) => return refused(&format!("{key} is {text}, not {expected}")),
            None => return Err(Error::Missing(key.to_owned())),
        }
    }
    if file.value("adapter.alora.invocation_tokens").is_some() {
        return refused("activation by tokens is not supported");
    }
    Ok(())
}

impl<'a> Adapter<'a> {
    /// Finds the adapter in `file`, for `model`.
    ///
    /// # Errors
    /// The file is no adapter, or one that does not fit the model in every tensor.
    pub fn read(file: &File<'a>, model: &Model<'_>) -> Result<Self, Error> {
        check_kind(file, &model.config.architecture)?;
        let alpha = match file.value("adapter.lora.alpha") {
            None => 0.0,
            Some(value) => Value::float(value).filter(|alpha| alpha.is_finite()).ok_or_else(|| Error::Value("adapter.lora.alpha".to_owned()))?,
        };
        let mut deltas = BTreeMap::new();
        for (name, narrow) in file.tensors() {
            let Some(matrix) = name.strip_suffix(".lora_a") else {
                // One half is enough to find the other, and a half that was left alone is found here.
                let other = name.strip_suffix(".lora_b").map(|matrix| format!("{matrix}.lora_a"));
                match other {
                    Some(other) if file.tensor(&other).is_some() => continue,
                    Some(other) => return Err(Error::Missing(other)),
                    None => return refused(&format!("tensor {name} is no part of a pair")),
                }
            };
            let expand = format!("{matrix}.lora_b");
            let delta = Delta { narrow, expand: file.tensor(&expand).ok_or(Error::Missing(expand))? };
            let place = Place::named(matrix).and_then(|place| model.matrix(place).map(|tensor| (place, tensor)));
            let Some((place, tensor)) = place else { return refused(&format!("the model has no {matrix} to add to")) };
            if !delta.fits(place, tensor) {
                return Err(Error::Shape(name.to_owned()));
            }
            deltas.insert(place, delta);
        }
        if deltas.is_empty() { refused("no tensors are there") } else { Ok(Self { alpha, deltas }) }
    }

    /// What it adds at `place`, and what that is multiplied by when the adapter as a whole is by `scale`.
    #[must_use]
    pub fn at(&self, place: Place, scale: f32) -> Option<(&Delta<'a>, f64)> {
        let delta = self.deltas.get(&place)?;
        let own = if self.alpha == 0.0 { 1.0 } else { self.alpha / delta.rank() as f64 };
        Some((delta, f64::from(scale) * own))
    }

    /// Where it adds something.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.deltas.keys().copied()
    }
}
