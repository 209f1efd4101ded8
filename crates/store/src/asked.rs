//! What the templates of messages can tell of words that are looked for.

use arrow::array::Array;
use millpond_query::words;

use crate::{
    QueryError,
    columns::Dictionary,
    filters::word_key,
    matches::Words,
    template::{MARK, is_variable},
};

/// Words that are looked for, as far as templates can tell.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The words with marks for those that no template has; `None` if there are none of these.
    marked: Option<Words>,
    /// The last word may be the start of one with a digit.
    started: Option<Words>,
    /// Keys of the words with digits, each of which a page must have.
    pub(crate) variable_keys: Vec<u64>,
    /// Keys of all words.
    pub(crate) keys: Vec<u64>,
}

/// For each template, and behind the last for a message without one, what it says.
pub(crate) struct Verdicts {
    /// The words stand in all of its messages.
    pub(crate) yes: Vec<bool>,
    /// They may stand in its messages.
    pub(crate) perhaps: Vec<bool>,
    /// It says nothing.
    pub(crate) unknown: Vec<bool>,
}

impl Asked {
    pub(crate) fn new(text: &str, prefix: bool) -> Result<Self, QueryError> {
        let all: Vec<&str> = words(text).collect();
        let Some((last, before)) = all.split_last() else {
            return Ok(Self {
                marked: None,
                started: None,
                variable_keys: Vec::new(),
                keys: Vec::new(),
            });
        };
        let mark = MARK.to_string();
        let marks = |words: &[&str]| -> Vec<String> {
            words
                .iter()
                .map(|word| if is_variable(word) { mark.clone() } else { (*word).to_owned() })
                .collect()
        };
        let compiled = |words: Vec<String>, prefix| {
            Words::new(&words.join(" "), prefix)
                .map_err(|error| QueryError::Invalid(error.to_string()))
        };
        let whole: &[&str] = if prefix { before } else { &all };
        // A mark stands for a whole word.
        let goes_on = prefix && !is_variable(last);
        let marked = all
            .iter()
            .any(|word| is_variable(word))
            .then(|| compiled(marks(&all), goes_on))
            .transpose()?;
        let started = goes_on
            .then(|| {
                let mut words = marks(before);
                words.push(mark.clone());
                compiled(words, false)
            })
            .transpose()?;
        Ok(Self {
            marked,
            started,
            variable_keys: whole
                .iter()
                .filter(|word| is_variable(word))
                .map(|word| word_key(word))
                .collect(),
            keys: whole.iter().map(|word| word_key(word)).collect(),
        })
    }

    /// For each template, and for a message without one, whether the words stand in its messages.
    pub(crate) fn verdicts(&self, templates: &Dictionary, words: &Words) -> Verdicts {
        let count = templates.values.len();
        let no = vec![false; count + 1];
        let mut verdicts = Verdicts { yes: no.clone(), perhaps: no.clone(), unknown: no };
        for (place, template) in templates.values.iter().enumerate() {
            let template = template.unwrap_or_default();
            let (yes, perhaps) = match &self.marked {
                Some(marked) => {
                    let started =
                        self.started.as_ref().is_some_and(|started| started.stand_in(template));
                    (false, started || marked.stand_in(template))
                }
                None if words.stand_in(template) => (true, false),
                None => {
                    (false, self.started.as_ref().is_some_and(|started| started.stand_in(template)))
                }
            };
            if let (Some(of_yes), Some(of_perhaps)) =
                (verdicts.yes.get_mut(place), verdicts.perhaps.get_mut(place))
            {
                *of_yes = yes;
                *of_perhaps = perhaps;
            }
        }
        if let Some(last) = verdicts.unknown.last_mut() {
            *last = true;
        }
        verdicts
    }
}
