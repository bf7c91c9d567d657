//! How many units a worker may hold, from what all of them hold. Knows no Redis.

use std::collections::BTreeMap;

/// How many units each living worker holds, this one among them.
pub(super) type Members = BTreeMap<String, usize>;

/// The most that one worker holds once every unit is served.
fn most(units: usize, workers: usize) -> usize {
    units.div_ceil(workers.max(1))
}

/// Whether a worker that holds so many units may take one more: up to what everybody could have, and one more where
/// nobody lacks that.
pub(super) fn has_room(own: &str, held: usize, units: usize, members: &Members) -> bool {
    let (most, least) = (most(units, members.len()), units / members.len().max(1));
    let somebody_lacks = members.iter().any(|(name, held)| name.as_str() != own && *held < least);
    held < least || (held < most && !somebody_lacks)
}

/// How many units a worker has to give back, so that others have their share: what it holds above the most that
/// one needs, as far as others have room for it; and one where it holds the most while somebody has less than everybody
/// could have.
pub(super) fn surplus(own: &str, units: usize, members: &Members) -> usize {
    let (most, least) = (most(units, members.len()), units / members.len().max(1));
    let held = members.get(own).copied().unwrap_or_default();
    let others = || members.iter().filter(|(name, _)| name.as_str() != own);
    if held > most {
        let room: usize = others().map(|(_, held)| most.saturating_sub(*held)).sum();
        return (held - most).min(room);
    }
    // All that is held is counted, so that nobody gives back while free units are there to be taken.
    let is_whole = members.values().sum::<usize>() >= units;
    let somebody_lacks = others().any(|(_, held)| *held < least);
    let is_first = others().all(|(name, other)| *other < held || (*other == held && name.as_str() > own));
    usize::from(held > least && is_whole && somebody_lacks && is_first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(held: &[usize]) -> Members {
        held.iter().enumerate().map(|(at, held)| (format!("w{at}"), *held)).collect()
    }

    /// What each gives back.
    fn given(units: usize, held: &[usize]) -> Vec<usize> {
        let members = members(held);
        members.keys().map(|own| surplus(own, units, &members)).collect()
    }

    #[test]
    fn nobody_gives_back_what_nobody_else_would_take() {
        assert_eq!(given(1, &[1]), [0]);
        assert_eq!(given(1, &[1, 0, 0]), [0, 0, 0]);
        assert_eq!(given(3, &[2, 1]), [0, 0]);
        assert_eq!(given(4, &[2, 1, 1]), [0, 0, 0]);
        assert_eq!(given(0, &[0, 0]), [0, 0]);
        // Free units come first.
        assert_eq!(given(4, &[2, 1, 0]), [0, 0, 0]);
    }

    #[test]
    fn whoever_joins_gets_its_share() {
        assert_eq!(given(6, &[6, 0]), [3, 0]);
        assert_eq!(given(6, &[3, 3, 0]), [1, 1, 0]);
        assert_eq!(given(4, &[2, 2, 0]), [1, 0, 0]);
        assert_eq!(given(5, &[5, 0, 0]), [3, 0, 0]);
    }

    /// Whatever the start, giving back and taking come to rest, with shares that differ by one at most.
    #[test]
    fn it_comes_to_rest() {
        for units in 0..12 {
            for workers in 1..6 {
                for first in 0..=units {
                    let mut held = vec![0; workers];
                    held[0] = first;
                    let mut rounds = 0;
                    loop {
                        let given = given(units, &held);
                        held.iter_mut().zip(&given).for_each(|(held, given)| *held -= given);
                        let free = units - held.iter().sum::<usize>();
                        if free == 0 && given.iter().all(|given| *given == 0) {
                            break;
                        }
                        // Whoever is asked first takes what it may, as of the last beat.
                        let known = members(&held);
                        for (at, name) in known.keys().enumerate() {
                            while held.iter().sum::<usize>() < units && has_room(name, held[at], units, &known) {
                                held[at] += 1;
                            }
                        }
                        rounds += 1;
                        assert!(rounds < 20, "{units} units, {held:?}");
                    }
                    let spread = held.iter().max().unwrap() - held.iter().min().unwrap();
                    assert!(spread <= 1, "{units} units, {held:?}");
                }
            }
        }
    }
}
