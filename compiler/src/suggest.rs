//! "Did you mean": the nearest of the known words.

/// The known word that is nearest to `word`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The most words that a help lists.
const WORDS_MAX: usize = 16;

/// Help that proposes one word.
pub(crate) fn meant(near: &str) -> String {
    format!("did you mean `{near}`?")
}

/// The word that a help proposes: [`meant`] read back.
pub(crate) fn proposed(help: &str) -> Option<&str> {
    help.strip_prefix("did you mean `")?.strip_suffix("`?")
}

/// Help for an unknown word: the nearest known one or, where none is near, all of them or the nearest of many.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(word, known.clone()) {
        return Some(meant(near));
    }
    let mut all: Vec<&str> = known.into_iter().collect();
    let is_cut = all.len() > WORDS_MAX;
    if is_cut {
        all.sort_by_cached_key(|known| strsim::damerau_levenshtein(word, known));
        all.truncate(WORDS_MAX);
    }
    let all: Vec<String> = all.into_iter().map(|word| format!("`{word}`")).collect();
    let and_more = if is_cut { " and others less like it" } else { "" };
    (!all.is_empty()).then(|| format!("known here: {}{and_more}", all.join(", ")))
}
