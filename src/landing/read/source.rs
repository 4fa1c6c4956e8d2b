//! What does a file say once it is unpacked and decoded?
//!
//! A [`Source`] gives the bytes of a text file as UTF-8, whatever they were packed with or encoded in; its first bytes can
//! be looked at before they are read. What is no text in the declared encoding comes out as a byte that is no UTF-8, so
//! that the record it stands in is rejected and not quietly changed.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::read::MultiGzDecoder;

use crate::landing::discover::FileStamp;
use crate::landing::error::LandingError;
use crate::landing::format::{self, Compression, Format, ReadOptions};

/// Bytes of packed files read at a time.
const PACKED: usize = 128 * 1024;

/// An open text file, unpacked and decoded while it is read.
pub(crate) struct Source {
    told: Told,
    bytes: Box<dyn Read + Send>,
    /// What was looked at and not yet read.
    head: Vec<u8>,
    at: usize,
    ended: bool,
}

/// What an error tells about the file it comes from.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) format: &'static str,
    packed: bool,
}

impl Source {
    /// Opens a file of text.
    ///
    /// # Errors
    /// [`LandingError::WrongFormat`] if its first bytes are those of a binary file.
    pub(crate) fn open(
        file: &FileStamp,
        format: Format,
        compression: Compression,
        options: &ReadOptions,
    ) -> Result<Self, LandingError> {
        let unreadable = |source| LandingError::Unreadable { path: file.path.clone(), source };
        let mut opened = File::open(&file.on_disk).map_err(unreadable)?;
        let mut magic = [0; 16];
        let length = read_up_to(&mut opened, &mut magic).map_err(unreadable)?;
        opened.rewind().map_err(unreadable)?;
        let magic = &magic[..length];
        // A declared compression is believed, also against the first bytes.
        let compression = match (&options.compression, Compression::by_magic(magic)) {
            (None, Some(seen)) => seen,
            _ => compression,
        };
        if let (Compression::None, Some(content)) = (compression, format::binary_by_magic(magic)) {
            return Err(LandingError::WrongFormat {
                path: file.path.clone(),
                read_as: format.word(),
                content,
            });
        }
        let told = Told {
            path: file.path.clone(),
            format: compression.word().unwrap_or(format.word()),
            packed: compression != Compression::None,
        };
        let bytes: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(opened),
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED, opened))),
            Compression::Zstd => {
                let buffered = BufReader::with_capacity(PACKED, opened);
                Box::new(
                    zstd::stream::read::Decoder::with_buffer(buffered).map_err(|error| told.failed(error))?,
                )
            }
            Compression::Bzip2 => {
                Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::with_capacity(PACKED, opened)))
            }
            Compression::Xz => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(
                BufReader::with_capacity(PACKED, opened),
            )),
        };
        let mut source = Self { told, bytes, head: Vec::new(), at: 0, ended: false };
        let marked = match source.look(3)? {
            [0xFF, 0xFE, ..] => Some(UTF_16LE),
            [0xFE, 0xFF, ..] => Some(UTF_16BE),
            _ => None,
        };
        let declared = options.encoding.as_deref().and_then(|name| Encoding::for_label(name.as_bytes()));
        match marked.or(declared) {
            Some(encoding) if encoding != UTF_8 => Ok(source.decoded(encoding)),
            _ => Ok(source),
        }
    }

    pub(crate) fn told(&self) -> Told {
        self.told.clone()
    }

    /// The next bytes without reading them: `length`, or all that are left.
    pub(crate) fn look(&mut self, length: usize) -> Result<&[u8], LandingError> {
        while self.head.len() - self.at < length && !self.ended {
            let filled = self.head.len();
            self.head.resize((self.at + length).max(filled + 4096), 0);
            let read = self.bytes.read(&mut self.head[filled..]);
            self.head.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.told.failed(error)),
            }
        }
        let end = self.head.len().min(self.at + length);
        Ok(&self.head[self.at..end])
    }

    fn decoded(self, encoding: &'static Encoding) -> Self {
        let told = self.told();
        let decoder = encoding.new_decoder_with_bom_removal();
        // Buffered, because a decoder needs room for whole characters.
        let decoded = Decoded { source: self, decoder, packed: Vec::new(), ended: false, finished: false };
        let bytes = Box::new(BufReader::with_capacity(PACKED, decoded));
        Self { told, bytes, head: Vec::new(), at: 0, ended: false }
    }
}

impl Told {
    /// The error for a read that failed: the file is damaged, or the operating system did not give it.
    pub(crate) fn failed(&self, source: io::Error) -> LandingError {
        let path = self.path.clone();
        let damaged = match source.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => true,
            // Some unpackers call everything `Other`; the operating system gives numbers.
            _ => self.packed && source.raw_os_error().is_none(),
        };
        if damaged {
            LandingError::Damaged { path, format: self.format, source: Box::new(source) }
        } else {
            LandingError::Unreadable { path, source }
        }
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.head.len() {
            return if self.ended { Ok(0) } else { self.bytes.read(into) };
        }
        let length = into.len().min(self.head.len() - self.at);
        into[..length].copy_from_slice(&self.head[self.at..self.at + length]);
        self.at += length;
        if self.at == self.head.len() {
            (self.head, self.at) = (Vec::new(), 0);
        }
        Ok(length)
    }
}

/// Text of another encoding, as UTF-8.
struct Decoded {
    source: Source,
    decoder: Decoder,
    packed: Vec<u8>,
    ended: bool,
    /// Whether the decoder has said its last. It is not asked again, though readers may ask after the end.
    finished: bool,
}

/// A byte that no UTF-8 text has, in place of what is no text.
const NO_TEXT: u8 = 0xFF;

impl Read for Decoded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // A character takes 4 bytes at most, and one is wanted for what is none.
        if into.len() < 8 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the buffer is too small to decode into"));
        }
        let mut written = 0;
        while written == 0 && !self.finished {
            if self.packed.is_empty() && !self.ended {
                self.packed.resize(PACKED, 0);
                let length = self.source.read(&mut self.packed)?;
                self.packed.truncate(length);
                self.ended = length == 0;
            }
            let room = into.len() - 1;
            let (result, read, length) =
                self.decoder.decode_to_utf8_without_replacement(&self.packed, &mut into[..room], self.ended);
            self.packed.drain(..read);
            written = length;
            match result {
                DecoderResult::Malformed(..) => {
                    into[written] = NO_TEXT;
                    written += 1;
                }
                DecoderResult::InputEmpty if self.ended => self.finished = true,
                _ => {}
            }
        }
        Ok(written)
    }
}

fn read_up_to(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::super::trial::Inbox;
    use super::*;

    fn text(name: &str, bytes: &[u8], encoding: Option<&str>) -> Vec<u8> {
        let inbox = Inbox::new();
        let options = ReadOptions { encoding: encoding.map(str::to_owned), ..ReadOptions::default() };
        let mut read = Vec::new();
        let csv = Format::Csv { delimiter: None };
        let mut source = Source::open(&inbox.file(name, bytes), csv, Compression::None, &options).unwrap();
        source.look(2).unwrap();
        source.read_to_end(&mut read).unwrap();
        assert_eq!(source.read(&mut [0; 64]).unwrap(), 0, "what is over stays over");
        read
    }

    #[test]
    fn text_is_utf8_whatever_it_was() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (bytes, encoding, read) in [
            ("é\n".as_bytes().to_vec(), None, "é\n".as_bytes().to_vec()),
            (b"\xE9\n".to_vec(), Some("latin1"), "é\n".as_bytes().to_vec()),
            ([b"\xFF\xFE".to_vec(), utf16("id,é\n")].concat(), None, "id,é\n".as_bytes().to_vec()),
            (utf16("id,é\n"), Some("utf-16le"), "id,é\n".as_bytes().to_vec()),
            ([utf16("a"), vec![0, 0xD8], utf16("b")].concat(), Some("utf-16le"), b"a\xFFb".to_vec()),
            (vec![], Some("utf-16le"), vec![]),
        ] {
            assert_eq!(text("f.csv", &bytes, encoding), read);
        }
    }
}
