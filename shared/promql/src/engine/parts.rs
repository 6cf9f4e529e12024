//! Running a pipeline over all its series, on several threads when there are many.
//!
//! Series are cut into parts by their number alone, and what the parts give is put together in order, so
//! that an answer does not depend on the number of threads, not even in its last digits.

use std::ops::Range;

use super::column::{Column, Series};
use super::error::QueryError;
use super::limits::Ledger;
use super::notes::Notes;
use super::pipe::{Held, Pipe};

/// Fewer series than this are not worth a thread.
const SERIES_PER_PART: usize = 128;
/// Most parts; each may hold its own accumulators.
const MAX_PARTS: usize = 8;

/// The parts of so many series.
fn parts(series: usize) -> Vec<Range<usize>> {
    let count = (series / SERIES_PER_PART).clamp(1, MAX_PARTS);
    (0..count).map(|part| series * part / count..series * (part + 1) / count).collect()
}

/// Gives every column of a pipeline to `step`, part by part; returns what each part made, in order.
pub(crate) fn fold<A: Send>(
    pipe: &Pipe<'_>,
    ledger: &Ledger,
    notes: &mut Notes,
    make: impl Fn() -> A + Sync,
    step: impl Fn(&mut A, usize, &mut Column, &mut Notes) -> Result<(), QueryError> + Sync,
) -> Result<Vec<A>, QueryError> {
    let parts = parts(pipe.len());
    let threads = ledger.limits().threads.clamp(1, parts.len());
    let run = |parts: &[Range<usize>]| -> Result<(Vec<A>, Notes), QueryError> {
        let mut notes = Notes::default();
        let mut worker = pipe.worker(ledger);
        let mut column = Column::default();
        let mut made = Vec::with_capacity(parts.len());
        for part in parts {
            let mut accumulator = make();
            for index in part.clone() {
                worker.column(index, &mut notes, &mut column)?;
                step(&mut accumulator, index, &mut column, &mut notes)?;
            }
            made.push(accumulator);
        }
        Ok((made, notes))
    };
    if threads == 1 {
        let (made, more) = run(&parts)?;
        notes.merge(more);
        return Ok(made);
    }
    let shares: Vec<&[Range<usize>]> =
        (0..threads).map(|t| &parts[parts.len() * t / threads..parts.len() * (t + 1) / threads]).collect();
    let results =
        std::thread::scope(|scope| {
            let run = &run;
            let others: Vec<_> = shares[1..].iter().map(|share| scope.spawn(move || run(share))).collect();
            let mut results = vec![run(shares[0])];
            for handle in others {
                results.push(handle.join().unwrap_or_else(|_| {
                    Err(QueryError::Internal("an evaluation thread panicked".to_owned()))
                }));
            }
            results
        });
    let mut all = Vec::with_capacity(parts.len());
    for result in results {
        let (made, more) = result?;
        all.extend(made);
        notes.merge(more);
    }
    Ok(all)
}

/// All series of a pipeline that have any sample.
pub(crate) fn collect<'e>(
    pipe: Pipe<'_>,
    ledger: &'e Ledger,
    notes: &mut Notes,
) -> Result<Held<'e>, QueryError> {
    let made = fold(&pipe, ledger, notes, Vec::new, |series: &mut Vec<Series>, index, column, _| {
        if column.any_present() {
            let column = std::mem::take(column);
            // Counted as they come, so that the bound holds before memory is taken.
            ledger.hold(column.weight())?;
            let (labels, drop_name) = (pipe.labels(index).clone(), pipe.drops_name(index));
            series.push(Series { labels, drop_name, column });
        }
        Ok(())
    })?;
    let mut all = Vec::with_capacity(made.iter().map(Vec::len).sum());
    made.into_iter().for_each(|part| all.extend(part));
    ledger.release(all.iter().map(|s: &Series| s.column.weight()).sum());
    Held::new(all, ledger)
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn parts_cover_all_series_in_order() {
        for series in [0, 1, 127, 128, 500, 3_200, 100_001] {
            let parts = parts(series);
            assert_eq!(parts.iter().map(ExactSizeIterator::len).sum::<usize>(), series);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(parts.len() <= 8);
        }
    }
}
