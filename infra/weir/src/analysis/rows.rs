//! Rows of `timestamp,value`, one at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Longest line, in bytes.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// A row: its timestamp as written, and its value, NaN where the file has none.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) timestamp: String,
    pub(super) value: f64,
}

/// Reads rows from a file or a pipe.
pub(super) struct Rows {
    input: Box<dyn BufRead>,
    name: String,
    line: String,
    number: usize,
}

impl Rows {
    /// Rows of the file, or of standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::of(Box::new(BufReader::new(io::stdin())), "standard input"));
        }
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self::of(Box::new(BufReader::new(file)), &path.display().to_string()))
    }

    pub(super) fn of(input: Box<dyn BufRead>, name: &str) -> Self {
        Self { input, name: name.to_owned(), line: String::new(), number: 0 }
    }

    /// The next row; the first line is passed over if its second column is no number.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        loop {
            self.line.clear();
            let place = |what: &str| format!("{what} line {} of {}", self.number + 1, self.name);
            let read = self.input.by_ref().take(MAX_LINE_BYTES).read_line(&mut self.line);
            let read = read.with_context(|| place("cannot read"))?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == MAX_LINE_BYTES {
                bail!("{} is longer than {MAX_LINE_BYTES} bytes", place("the"));
            }
            self.number += 1;
            // Spreadsheets put a mark of byte order first.
            let line = self.line.trim_start_matches('\u{feff}').trim();
            if line.is_empty() {
                continue;
            }
            let mut columns = line.split(',').map(|column| column.trim().trim_matches('"'));
            let (timestamp, value) = (columns.next().unwrap_or_default(), columns.next());
            match value.map(number) {
                Some(Some(value)) => return Ok(Some(Row { timestamp: timestamp.to_owned(), value })),
                _ if self.number == 1 => {}
                _ => bail!(
                    "line {} of {} is {line:?}; every line needs timestamp,value with a number, or nothing for a missing one",
                    self.number,
                    self.name
                ),
            }
        }
    }
}

/// The number that a column holds; nothing, `null` and `NaN` are missing ones.
fn number(text: &str) -> Option<f64> {
    match text {
        "" | "null" | "NULL" | "NA" => Some(f64::NAN),
        text => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>> {
        let mut rows = Rows::of(Box::new(io::Cursor::new(text.to_owned())), "test.csv");
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push((row.timestamp, row.value.to_string()));
        }
        Ok(all)
    }

    #[test]
    fn rows_are_read_as_people_write_them() {
        let cases = [
            ("timestamp,value\n1,2\n", vec![("1", "2")]),
            ("1,2\r\n\r\n\"2\",\"3.5\"\r\n", vec![("1", "2"), ("2", "3.5")]),
            ("\u{feff}t,v\n1,\n2,NaN,more", vec![("1", "NaN"), ("2", "NaN")]),
            ("", vec![]),
        ];
        for (text, want) in cases {
            let want: Vec<_> = want.iter().map(|(t, v)| ((*t).to_owned(), (*v).to_owned())).collect();
            assert_eq!(read(text).unwrap(), want, "{text:?}");
        }
    }

    #[test]
    fn a_bad_row_is_named() {
        for (text, want) in [("t,v\n1,2\n3,x\n", "line 3 of test.csv is \"3,x\""), ("t,v\n7\n", "line 2")] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        let long = format!("t,v\n1,{}", "1".repeat(70_000));
        assert!(read(&long).unwrap_err().to_string().contains("longer than 65536 bytes"));
    }
}
