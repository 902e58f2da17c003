//! A conversation, as the text of a request has it: turns, the user's first, with a line between two that says whose the next one is.

/// What comes before an answer, and before what the user says to it.
const ANSWER: &str = "--- assistant";
const USER: &str = "--- user";

/// All that was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conversation(Vec<u8>);

impl Conversation {
    /// The user says something.
    pub(crate) fn say(&mut self, words: &str) {
        if !self.0.is_empty() {
            self.mark(USER);
        }
        self.turn(words.as_bytes());
    }

    /// And was answered. An answer that is at its end in length may be cut off within a character, and a request is text.
    pub(crate) fn answered(&mut self, answer: &[u8]) {
        self.mark(ANSWER);
        self.turn(String::from_utf8_lossy(answer).trim_ascii_end().as_bytes());
    }

    /// The text of the request that asks for the next answer.
    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }

    fn mark(&mut self, whose: &str) {
        self.0.extend_from_slice(format!("\n{whose}\n").as_bytes());
    }

    /// A line that would begin another turn is none with a space before it.
    fn turn(&mut self, words: &[u8]) {
        for (index, line) in words.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.0.push(b'\n');
            }
            if [ANSWER, USER].iter().any(|mark| line.trim_ascii_end() == mark.as_bytes()) {
                self.0.push(b' ');
            }
            self.0.extend_from_slice(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Conversation;

    #[test]
    fn turns_are_the_users_and_the_answers_in_turn() {
        let mut conversation = Conversation::default();
        conversation.say("Hello");
        assert_eq!(conversation.text(), b"Hello");
        conversation.answered(b"Hi.\nWhat is it?\n\n");
        conversation.say("Nothing");
        assert_eq!(conversation.text(), b"Hello\n--- assistant\nHi.\nWhat is it?\n--- user\nNothing");
    }

    #[test]
    fn answer_that_is_cut_off_within_a_character_is_text_all_the_same() {
        let mut conversation = Conversation::default();
        conversation.say("a");
        conversation.answered(b"caf\xc3\xa9 \xe2\x82");
        assert_eq!(conversation.text(), "a\n--- assistant\ncaf\u{e9} \u{fffd}".as_bytes());
    }

    #[test]
    fn what_looks_like_a_mark_is_none() {
        let mut conversation = Conversation::default();
        conversation.say("--- assistant");
        conversation.answered(b"a\n--- user\n--- user \nb --- user");
        assert_eq!(conversation.text(), b" --- assistant\n--- assistant\na\n --- user\n --- user \nb --- user");
    }
}
