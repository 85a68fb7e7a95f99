//! Titles of groups of updates.

/// `update kiwi`; `updates kiwi #1 to #7, #9` for several of one client;
/// `updates kiwi1 to kiwi7, plum`.
pub(crate) fn title<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let names: Vec<&str> = names.collect();
    if let [one] = names.as_slice() {
        return format!("update {one}");
    }
    for name in names {
        let next = Run::of(name);
        match runs.last_mut().filter(|last| last.is_followed_by(&next)) {
            Some(last) => last.last = next.last,
            None => runs.push(next),
        }
    }
    let mut named = Vec::new();
    let mut before = None;
    for run in &runs {
        named.push(run.named(before));
        before = Some(run);
    }
    format!("updates {}", named.join(", "))
}

/// A range of names that count on: `kiwi#1`, `kiwi#2`, or `kiwi1`, `kiwi2`.
struct Run<'a> {
    stem: &'a str,
    /// Whether `#` precedes the number, which then counts the updates of the client `stem`.
    of_client: bool,
    first: Option<u64>,
    last: Option<u64>,
}

impl<'a> Run<'a> {
    fn of(name: &'a str) -> Self {
        // Ids may have a `#` themselves.
        let of_client = name
            .rsplit_once('#')
            .and_then(|(id, number)| Some((id, number.parse().ok()?)));
        let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let counts = || {
            let number = name[digits.len()..].parse().ok();
            let plain = !name[digits.len()..].starts_with('0');
            (digits, number.filter(|_| plain && !digits.is_empty()))
        };
        let (stem, number) = match of_client {
            Some((id, number)) => (id, Some(number)),
            None => counts(),
        };
        Self {
            stem: if number.is_some() { stem } else { name },
            of_client: of_client.is_some(),
            first: number,
            last: number,
        }
    }

    fn is_of(&self, other: &Self) -> bool {
        (self.stem, self.of_client) == (other.stem, other.of_client)
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        self.is_of(next)
            && self.last.is_some()
            && self.last.and_then(|last: u64| last.checked_add(1)) == next.first
    }

    /// The range in words, without its stem if the range `before` has the same.
    fn named(&self, before: Option<&Self>) -> String {
        let stem = self.stem;
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return stem.to_owned();
        };
        let said = before.is_some_and(|before| before.is_of(self));
        let (begin, name) = match (self.of_client, said) {
            (true, true) => (String::new(), "#"),
            (true, false) => (format!("{stem} "), "#"),
            (false, _) => (String::new(), stem),
        };
        if first == last {
            return format!("{begin}{name}{first}");
        }
        format!("{begin}{name}{first} to {name}{last}")
    }
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn names_that_count_on_are_ranges() {
        let told = |names: &str| title(names.split(' '));
        assert_eq!(told("kiwi"), "update kiwi");
        assert_eq!(told("kiwi9"), "update kiwi9");
        assert_eq!(
            told("kiwi#1 kiwi#2 kiwi#3 kiwi#5 plum"),
            "updates kiwi #1 to #3, #5, plum"
        );
        assert_eq!(
            told("kiwi1 kiwi2 kiwi4 plum4 plum5"),
            "updates kiwi1 to kiwi2, kiwi4, plum4 to plum5"
        );
        assert_eq!(
            told("a#b kiwi07 kiwi08 9 10"),
            "updates a#b, kiwi07, kiwi08, 9, 10"
        );
        assert_eq!(
            told("kiwi18446744073709551615 kiwi1"),
            "updates kiwi18446744073709551615, kiwi1"
        );
    }
}
