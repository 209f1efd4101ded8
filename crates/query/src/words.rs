//! The word rule, in one place: search, skip index and any other engine split text the same way.

/// The words of a text: its runs of letters and digits (Unicode alphabetic or numeric), as they stand.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let words: Vec<_> = super::words("GET /api/v1?q=Größe_7…日本").collect();
        assert_eq!(words, ["GET", "api", "v1", "q", "Größe", "7", "日本"]);
    }
}
