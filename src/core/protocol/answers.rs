//! A client's side of the protocol: where an answer ends.

/// Splits the bytes that a client receives into answers.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    buffer: Vec<u8>,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer's text, without the line feeds that ended it.
    pub text: Vec<u8>,
    /// The line feeds that ended the answer.
    pub end: &'static [u8],
}

impl Answers {
    /// The buffer to whose end arriving bytes are appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Bytes that have arrived and are no complete answer yet.
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// The next answer, which is to `line`, once it is complete.
    ///
    /// An answer is one line. Only an AT line that answers a WHATSAT goes on, up to a blank line.
    pub fn next(&mut self, line: &[u8]) -> Option<Answer> {
        let may_be_long = super::fields(line).next() == Some(b"WHATSAT");
        // Before three bytes have arrived, an AT line can't be told from a refusal.
        if may_be_long && self.buffer.len() < 3 && !self.buffer.contains(&b'\n') {
            return None;
        }
        let long = may_be_long && self.buffer.starts_with(b"AT ");
        let end: &[u8] = if long { b"\n\n" } else { b"\n" };
        let at = memchr::memmem::find(&self.buffer, end)?;
        let text = self.buffer[..at].to_vec();
        self.buffer.drain(..at + end.len());
        Some(Answer { text, end })
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Answers};

    /// The answers to `lines`, received byte by byte.
    fn heard(bytes: &str, lines: &[&str]) -> Vec<String> {
        let mut answers = Answers::default();
        let mut lines = lines.iter();
        let mut line = lines.next();
        let mut all = Vec::new();
        for byte in bytes.bytes() {
            answers.buffer().push(byte);
            let Some(waiting) = line else { continue };
            if let Some(Answer { mut text, end }) = answers.next(waiting.as_bytes()) {
                text.extend_from_slice(end);
                all.push(String::from_utf8(text).unwrap());
                line = lines.next();
            }
        }
        all
    }

    #[test]
    fn only_an_at_line_to_a_whatsat_goes_on() {
        let at = "AT A +0.000000000 kiwi +1-1 5\n";
        let long = format!("{at}{{\n}}\n\n");
        let bytes = format!("{at}{long}? WHATSAT x\n? \n");
        let lines = ["IAMAT kiwi +1-1 5", " WHATSAT kiwi 1 1", "WHATSAT x", ""];
        assert_eq!(heard(&bytes, &lines), [at, &long, "? WHATSAT x\n", "? \n"]);
    }

    #[test]
    fn what_is_not_whole_is_no_answer() {
        assert_eq!(heard("AT A\n{}\n", &["WHATSAT kiwi 1 1"]), [""; 0]);
        assert_eq!(heard("? x", &["x"]), [""; 0]);
    }
}
