//! What stands on the command line, and which of it goes into a request's words.

use crate::Outcome;
use crate::words::Words;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    Number,
    Text,
    /// `FILE` or `FILE:SCALE`.
    Scaled,
    /// `TOKEN=VALUE`.
    Bias,
}

/// Options that become a line of the request, and its key.
const REQUEST: [(&str, &str, Kind); 17] = [
    ("-n", "most", Kind::Whole),
    ("--temp", "temp", Kind::Number),
    ("--seed", "seed", Kind::Whole),
    ("--top-k", "top-k", Kind::Whole),
    ("--top-p", "top-p", Kind::Number),
    ("--min-p", "min-p", Kind::Number),
    ("--repeat-last-n", "repeat-last-n", Kind::Whole),
    ("--repeat-penalty", "repeat-penalty", Kind::Number),
    ("--presence-penalty", "presence-penalty", Kind::Number),
    ("--frequency-penalty", "frequency-penalty", Kind::Number),
    ("--logit-bias", "logit-bias", Kind::Bias),
    ("--grammar", "grammar", Kind::Text),
    ("--schema", "schema", Kind::Text),
    ("--lora", "lora", Kind::Scaled),
    ("--context", "context", Kind::Whole),
    ("--chat", "chat", Kind::Text),
    ("--system", "system", Kind::Text),
];
/// Options that may be given more than once.
const REPEATED: [&str; 2] = ["lora", "logit-bias"];

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The model's file.
    pub(crate) model: String,
    /// `-p`.
    pub(crate) prompt: Option<String>,
    /// `--times`.
    pub(crate) times: Option<usize>,
    /// Keys and values of the request.
    lines: Vec<(&'static str, String)>,
}

impl Options {
    /// Reads `MODEL` and options, in any order; `extra` are those that the command has beside the request's.
    pub(crate) fn parse(words: &[&str], extra: &[&str]) -> Outcome<Self> {
        let mut options = Self::default();
        let mut rest = words.iter().copied();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                if !options.model.is_empty() {
                    return Err(format!("there is one model, and {word} is a second one").into());
                }
                word.clone_into(&mut options.model);
                continue;
            }
            let known = REQUEST.iter().find(|(name, ..)| *name == word);
            if known.is_none() && !extra.contains(&word) {
                return Err(format!("{word} is no option; llm help has them").into());
            }
            let value = rest.next().ok_or_else(|| format!("{word} needs a value"))?;
            match known {
                Some((name, key, kind)) => options.add(name, key, line(name, *kind, value)?)?,
                None if word == "-p" => options.prompt = Some(value.to_owned()),
                None => options.times = Some(whole(word, value)? as usize),
            }
        }
        if options.model.is_empty() { Err("which model? It is a GGUF file".into()) } else { Ok(options) }
    }

    fn add(&mut self, name: &str, key: &'static str, value: String) -> Outcome {
        if self.get(key).is_some() && !REPEATED.contains(&key) {
            return Err(format!("{name} was given twice").into());
        }
        self.lines.push((key, value));
        Ok(())
    }

    /// The value of a key, if it was given.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }

    /// A key's value, unless it was given.
    pub(crate) fn or(mut self, key: &'static str, value: &str) -> Self {
        if self.get(key).is_none() {
            self.lines.push((key, value.to_owned()));
        }
        self
    }

    /// The request for this text.
    pub(crate) fn request(&self, text: &[u8]) -> Outcome<Vec<u8>> {
        let mut words = Words::new("answer")?.with("model", &self.model)?;
        for (key, value) in &self.lines {
            words = words.with(key, value)?;
        }
        Ok(words.about(text))
    }
}

fn whole(name: &str, value: &str) -> Outcome<u64> {
    value.parse().map_err(|_| format!("{name} takes a whole number, and {value} is none").into())
}

fn number(name: &str, value: &str) -> Outcome<f64> {
    let number: Option<f64> = value.parse().ok();
    number.filter(|number| number.is_finite()).ok_or_else(|| format!("{name} takes a number, and {value} is none").into())
}

/// An option's value as it stands in the request.
fn line(name: &str, kind: Kind, value: &str) -> Outcome<String> {
    match kind {
        Kind::Whole => whole(name, value).map(|number| number.to_string()),
        Kind::Number => number(name, value).map(|_| value.to_owned()),
        Kind::Text => Ok(value.to_owned()),
        Kind::Scaled => match value.rsplit_once(':') {
            Some((file, scale)) if !file.is_empty() => number(name, scale).map(|_| format!("{file} {scale}")),
            _ => Ok(format!("{value} 1")),
        },
        Kind::Bias => {
            let (token, bias) = value.split_once('=').ok_or_else(|| format!("{name} takes TOKEN=VALUE, and {value} is none"))?;
            Ok(format!("{} {}", whole(name, token)?, number(name, bias).map(|_| bias)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn request(words: &[&str]) -> Result<String, String> {
        let options = Options::parse(words, &["-p"]).map_err(|error| error.to_string())?;
        let bytes = options.request(b"Once").map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn options_become_lines() {
        assert_eq!(request(&["/m.gguf"]).as_deref(), Ok("task answer\nmodel /m.gguf\n\nOnce"));
        let many = ["-n", "64", "--temp", "0.7", "m.gguf", "--seed", "7", "--top-k", "40", "--top-p", "0.9", "--min-p", ".05"];
        let lines = "most 64\ntemp 0.7\nseed 7\ntop-k 40\ntop-p 0.9\nmin-p .05\n";
        assert_eq!(request(&many), Ok(format!("task answer\nmodel m.gguf\n{lines}\nOnce")));
        let files = ["m", "--grammar", "g.gbnf", "--lora", "a.gguf", "--lora", "b:c.gguf:0.5", "--logit-bias", "15043=-1"];
        let lines = "grammar g.gbnf\nlora a.gguf 1\nlora b:c.gguf 0.5\nlogit-bias 15043 -1\n";
        assert_eq!(request(&files), Ok(format!("task answer\nmodel m\n{lines}\nOnce")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, says) in [
            (&[][..], "which model? It is a GGUF file"),
            (&["m", "n"], "there is one model, and n is a second one"),
            (&["m", "-n"], "-n needs a value"),
            (&["m", "-n", "many"], "-n takes a whole number, and many is none"),
            (&["m", "-n", "-1"], "-n takes a whole number, and -1 is none"),
            (&["m", "--temp", "hot"], "--temp takes a number, and hot is none"),
            (&["m", "--temp", "nan"], "--temp takes a number, and nan is none"),
            (&["m", "--temp", "1", "--temp", "2"], "--temp was given twice"),
            (&["m", "--lora", "a.gguf:x"], "--lora takes a number, and x is none"),
            (&["m", "--logit-bias", "5"], "--logit-bias takes TOKEN=VALUE, and 5 is none"),
            (&["m", "--speed", "1"], "--speed is no option; llm help has them"),
            (&["m", "--times", "1"], "--times is no option; llm help has them"),
            (&["m", "--system", "a\nb"], "system: it must be one line"),
        ] {
            assert_eq!(request(words), Err(says.to_owned()), "{words:?}");
        }
    }

    #[test]
    fn prompt_and_times_are_no_lines_and_defaults_give_way() {
        let options = Options::parse(&["m", "-p", "-n", "--times", "4", "-n", "9"], &["-p", "--times"]).expect("good ones");
        assert_eq!((options.prompt.as_deref(), options.times, options.get("most")), (Some("-n"), Some(4), Some("9")));
        assert_eq!(options.clone().or("most", "64").get("most"), Some("9"));
        assert_eq!(options.or("chat", "file").get("chat"), Some("file"));
    }
}
