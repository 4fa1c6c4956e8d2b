//! How do rows become the bytes of one file?

use std::fs::File;
use std::io::{self, BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use arrow_ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::csv;
use super::options::{Format, Options, Packing};

/// A file that is being written.
pub(super) enum FileOf {
    Csv(Packed),
    Lines(arrow::json::writer::Writer<Packed, LineDelimited>),
    Array(arrow::json::writer::Writer<Packed, JsonArray>),
    Parquet(Box<ArrowWriter<Packed>>),
    Arrow(Box<FileWriter<Packed>>),
}

impl FileOf {
    /// Begins a file.
    pub(super) fn begin(file: File, schema: &SchemaRef, options: &Options) -> Result<Self, ArrowError> {
        let packing = if matches!(options.format, Format::Parquet) { Packing::None } else { options.packing };
        let mut out = Packed::on(file, packing)?;
        let explicit = || WriterBuilder::new().with_explicit_nulls(true);
        Ok(match options.format {
            Format::Csv => {
                if options.csv.header {
                    csv::header(schema, &options.csv, &mut out)?;
                }
                Self::Csv(out)
            }
            Format::Json { array: false } => Self::Lines(explicit().build(out)),
            Format::Json { array: true } => Self::Array(explicit().build(out)),
            Format::Parquet => {
                let mut properties = WriterProperties::builder().set_compression(codec(options.packing));
                if let Some(rows) = options.row_group_size {
                    properties = properties.set_max_row_group_row_count(Some(rows));
                }
                let writer = ArrowWriter::try_new(out, SchemaRef::clone(schema), Some(properties.build()));
                Self::Parquet(Box::new(writer?))
            }
            Format::Arrow => Self::Arrow(Box::new(FileWriter::try_new(out, schema)?)),
        })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch, options: &Options) -> Result<(), ArrowError> {
        match self {
            Self::Csv(out) => csv::rows(batch, &options.csv, out),
            Self::Lines(writer) => writer.write(batch),
            Self::Array(writer) => writer.write(batch),
            Self::Parquet(writer) => Ok(writer.write(batch)?),
            Self::Arrow(writer) => writer.write(batch),
        }
    }

    /// Ends the file, and sees to it that it is on the disk. Returns its size.
    pub(super) fn end(self) -> Result<u64, ArrowError> {
        let out = match self {
            Self::Csv(out) => out,
            Self::Lines(mut writer) => {
                writer.finish()?;
                writer.into_inner()
            }
            Self::Array(mut writer) => {
                writer.finish()?;
                writer.into_inner()
            }
            Self::Parquet(writer) => writer.into_inner()?,
            Self::Arrow(writer) => writer.into_inner()?,
        };
        let Counted { file, bytes } = out.end()?;
        if file.metadata()?.is_file() {
            file.sync_all()?;
        }
        Ok(bytes)
    }
}

fn codec(packing: Packing) -> Compression {
    match packing {
        Packing::None | Packing::Bzip2 | Packing::Xz => Compression::UNCOMPRESSED,
        Packing::Gzip => Compression::GZIP(GzipLevel::default()),
        Packing::Zstd => Compression::ZSTD(ZstdLevel::default()),
        Packing::Snappy => Compression::SNAPPY,
        Packing::Lz4 => Compression::LZ4_RAW,
        Packing::Brotli => Compression::BROTLI(BrotliLevel::default()),
    }
}

type Buffered = BufWriter<Counted>;

/// A file, and how many bytes were written into it: a pipe does not know.
pub(super) struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file, and what packs the bytes on their way into it.
pub(super) enum Packed {
    Plain(Buffered),
    Gzip(flate2::write::GzEncoder<Buffered>),
    Zstd(zstd::stream::write::Encoder<'static, Buffered>),
    Bzip2(bzip2::write::BzEncoder<Buffered>),
    Xz(liblzma::write::XzEncoder<Buffered>),
}

impl Packed {
    fn on(file: File, packing: Packing) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 18, Counted { file, bytes: 0 });
        Ok(match packing {
            Packing::Gzip => Self::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::default())),
            Packing::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(file, 0)?),
            Packing::Bzip2 => Self::Bzip2(bzip2::write::BzEncoder::new(file, bzip2::Compression::default())),
            Packing::Xz => Self::Xz(liblzma::write::XzEncoder::new(file, 6)),
            _ => Self::Plain(file),
        })
    }

    fn end(self) -> io::Result<Counted> {
        let buffered = match self {
            Self::Plain(file) => file,
            Self::Gzip(writer) => writer.finish()?,
            Self::Zstd(writer) => writer.finish()?,
            Self::Bzip2(writer) => writer.finish()?,
            Self::Xz(writer) => writer.finish()?,
        };
        buffered.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(writer) => writer,
            Self::Gzip(writer) => writer,
            Self::Zstd(writer) => writer,
            Self::Bzip2(writer) => writer,
            Self::Xz(writer) => writer,
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}
