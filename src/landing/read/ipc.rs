//! How are Arrow files and streams read without believing their lengths?
//!
//! The messages of both are the same; a file has a mark before them and a footer behind. The engine's readers make room for
//! as many bytes as a message says that it has, up to gigabytes for a file of a few damaged bytes. Here its decoder is
//! given the bytes that there are. A file is whole if it has as many batches as its footer names; a stream, if it ends
//! between two messages.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_ipc::reader::{StreamDecoder, read_footer_length};
use arrow_ipc::root_as_footer;

const MARK: &[u8] = b"ARROW1";
/// Writers fill up to the first message with zeros, to eight bytes or sixty-four.
const FILLED: usize = 4096;
/// Bytes that are read at once.
const CHUNK: u64 = 1024 * 1024;

/// The batches of an Arrow file or stream.
pub(super) struct Messages {
    source: File,
    decoder: StreamDecoder,
    chunk: Buffer,
    /// Found while the schema was looked for.
    first: Option<RecordBatch>,
    given: usize,
    /// How many batches there are, if the file says so.
    promised: Option<usize>,
    ended: bool,
}

impl Messages {
    /// Opens a file or stream and reads its schema.
    pub(super) fn open(mut source: File) -> Result<(SchemaRef, Self), ArrowError> {
        let mut head = Vec::new();
        (&mut source).take(FILLED as u64).read_to_end(&mut head)?;
        let (promised, begin) = match head.strip_prefix(MARK) {
            Some(filled) => {
                let first = filled.iter().position(|byte| *byte != 0).unwrap_or_default() + MARK.len();
                (Some(batches_in_footer(&mut source)?), first / 8 * 8)
            }
            None => (None, 0),
        };
        source.seek(SeekFrom::Start(begin as u64))?;
        let decoder = StreamDecoder::new();
        let chunk = Buffer::from(Vec::<u8>::new());
        let mut messages = Self { source, decoder, chunk, first: None, given: 0, promised, ended: false };
        messages.first = messages.until(|decoder| decoder.schema().is_some())?;
        match messages.decoder.schema() {
            Some(schema) => Ok((schema, messages)),
            None => Err(ArrowError::IpcError("it has no schema".to_owned())),
        }
    }

    /// The next batch, or nothing if there is none or enough is known.
    fn until(&mut self, enough: impl Fn(&StreamDecoder) -> bool) -> Result<Option<RecordBatch>, ArrowError> {
        while !self.ended {
            if self.chunk.is_empty() {
                if enough(&self.decoder) {
                    return Ok(None);
                }
                let mut bytes = Vec::new();
                if (&mut self.source).take(CHUNK).read_to_end(&mut bytes)? == 0 {
                    self.decoder.finish()?;
                    self.ended = true;
                    break;
                }
                self.chunk = Buffer::from(bytes);
            }
            match self.decoder.decode(&mut self.chunk) {
                Ok(Some(batch)) => return Ok(Some(batch)),
                Ok(None) => {}
                // What stands behind the end is the footer.
                Err(_) if self.decoder.finish().is_ok() => self.ended = true,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl Iterator for Messages {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.until(|_| false),
        };
        match next {
            Ok(Some(batch)) => {
                self.given += 1;
                Some(Ok(batch))
            }
            Ok(None) => {
                let promised = self.promised.take().filter(|promised| *promised != self.given)?;
                let what = format!("it has {} batches, and its footer names {promised}", self.given);
                Some(Err(ArrowError::IpcError(what)))
            }
            Err(error) => {
                (self.ended, self.promised) = (true, None);
                Some(Err(error))
            }
        }
    }
}

/// How many batches the footer of a file names.
fn batches_in_footer(source: &mut File) -> Result<usize, ArrowError> {
    let cut = || ArrowError::IpcError("it has no footer".to_owned());
    let length = source.seek(SeekFrom::End(0))?;
    let at = length.checked_sub(10).ok_or_else(cut)?;
    source.seek(SeekFrom::Start(at))?;
    let mut trailer = [0; 10];
    source.read_exact(&mut trailer)?;
    let begin = at.checked_sub(read_footer_length(trailer)? as u64).ok_or_else(cut)?;
    source.seek(SeekFrom::Start(begin))?;
    let mut footer = Vec::new();
    source.take(at - begin).read_to_end(&mut footer)?;
    let footer = root_as_footer(&footer).map_err(|error| ArrowError::IpcError(error.to_string()))?;
    Ok(footer.recordBatches().map_or(0, |batches| batches.len()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use arrow::array::{Array as _, DictionaryArray, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow_ipc::writer::{FileWriter, StreamWriter};

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        // The same dictionary in each batch: a file may not replace one.
        let keys = Int32Array::from_iter_values((0..rows).map(|n| (n % 2) as i32));
        let words = DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["a", "b"])));
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int64, false),
            Field::new("word", words.data_type().clone(), true),
        ]);
        let numbers = Int64Array::from_iter_values(0..rows);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(numbers), Arc::new(words)]).unwrap()
    }

    /// How many rows the bytes hold, or that they are damaged.
    fn told(bytes: &[u8]) -> Result<usize, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let (_, messages) = Messages::open(file).map_err(|error| error.to_string())?;
        messages
            .map(|batch| batch.map(|batch| batch.num_rows()))
            .sum::<Result<_, _>>()
            .map_err(|error: ArrowError| error.to_string())
    }

    fn written(batches: &[RecordBatch], as_file: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let schema = batches[0].schema();
        if as_file {
            let mut writer = FileWriter::try_new(&mut bytes, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        } else {
            let mut writer = StreamWriter::try_new(&mut bytes, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        bytes
    }

    #[test]
    fn every_batch_is_read_or_the_file_is_damaged() {
        for as_file in [true, false] {
            let bytes = written(&[batch(3), batch(400_000), batch(0), batch(2)], as_file);
            assert_eq!(told(&bytes), Ok(400_005));
            let small = written(&[batch(3), batch(4)], as_file);
            assert_eq!(told(&small), Ok(7));
            for length in 0..small.len() {
                match told(&small[..length]) {
                    Err(_) => {}
                    // A stream may end between two messages; a file never does without its footer.
                    Ok(rows) => {
                        assert!(!as_file && [0, 3, 7].contains(&rows), "{rows} rows in {length} bytes")
                    }
                }
            }
        }
    }

    #[test]
    fn a_length_is_not_believed() {
        for bytes in [
            &b"\x7F\xFF\xFF\x7Fa"[..],
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7Fabc",
            b"ARROW1\0\0abcdef\xFF\xFF\xFF\x7FARROW1",
        ] {
            let begun = std::time::Instant::now();
            assert!(told(bytes).is_err());
            assert!(begun.elapsed().as_secs() < 5, "no room was made for what is not there");
        }
    }
}
