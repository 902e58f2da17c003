//! A request as inference reads it: lines `key value`, an empty line, and the text, which goes to the end.

use crate::Outcome;

/// A request that is being put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(Vec<u8>);

impl Words {
    /// A request for this task.
    pub(crate) fn new(task: &str) -> Outcome<Self> {
        Self::default().with("task", task)
    }

    /// Likewise, and one thing more about it.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Outcome<Self> {
        if value.contains(['\n', '\r']) {
            return Err(format!("{key}: it must be one line").into());
        }
        if value.trim().is_empty() {
            return Err(format!("{key}: it is empty").into());
        }
        self.0.extend_from_slice(format!("{key} {value}\n").as_bytes());
        Ok(self)
    }

    /// All of it.
    pub(crate) fn about(mut self, text: &[u8]) -> Vec<u8> {
        self.0.push(b'\n');
        self.0.extend_from_slice(text);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn lines_come_before_an_empty_one_and_the_text_behind_it() {
        let words = Words::new("answer").and_then(|words| words.with("model", "/m odel.gguf")).and_then(|words| words.with("most", "3"));
        let bytes = words.expect("good ones").about(b"Why?\n\nfoo bar");
        assert_eq!(String::from_utf8_lossy(&bytes), "task answer\nmodel /m odel.gguf\nmost 3\n\nWhy?\n\nfoo bar");
        assert_eq!(Words::new("list").expect("a good one").about(b""), b"task list\n\n");
    }

    #[test]
    fn value_is_one_line_and_not_empty() {
        let says = |value: &str| Words::default().with("system", value).map_err(|error| error.to_string());
        assert_eq!(says("be\nbrief"), Err("system: it must be one line".into()));
        assert_eq!(says("be\rbrief"), Err("system: it must be one line".into()));
        assert_eq!(says(" "), Err("system: it is empty".into()));
    }
}
