//! Which rows of a data file no longer count?
//!
//! A *deletion vector* says so: a set of row [`Positions`], kept beside the data file, so that a row can
//! go without its file being written again (merge-on-read). The data file stays as it is; a log entry
//! names the file together with its vector.
//!
//! Format: the Delta protocol, section *Deletion Vector Format*. A file of vectors is the byte 1, and for
//! each vector its length (4 bytes, big-endian), the magic number and a portable 64-bit Roaring bitmap,
//! and a CRC-32 of these two (big-endian).

use bytes::Bytes;
use datafusion::error::DataFusionError;
use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use roaring::RoaringTreemap;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{TableError, Tables};
use crate::base::TableName;
use crate::lake::layout;

/// Rows of one file, by how many rows stand before them in the file.
pub(super) type Positions = RoaringTreemap;

/// Says that a portable bitmap follows.
const MAGIC: u32 = 1_681_511_377;

/// Writes the vectors of one change into one file beside the table's data files.
///
/// Returns a descriptor for each, in order. Nothing refers to the file until they are committed.
pub(super) async fn write(
    tables: &Tables,
    table: &TableName,
    vectors: &[Positions],
) -> Result<Vec<DeletionVectorDescriptor>, TableError> {
    if vectors.is_empty() {
        return Ok(Vec::new());
    }
    let digest = Sha256::digest(tables.id());
    let uuid = Uuid::from_slice(&digest[..16]).expect("a UUID has 16 bytes");
    let name = z85::encode(uuid.as_bytes());
    let mut content = vec![1_u8];
    let mut descriptors = Vec::with_capacity(vectors.len());
    for positions in vectors {
        let mut vector = MAGIC.to_le_bytes().to_vec();
        positions.serialize_into(&mut vector).expect("memory takes all bytes");
        let fits = |length: usize| {
            i32::try_from(length).map_err(|_| {
                TableError::Rows(DataFusionError::ResourcesExhausted(
                    "more rows are hidden at once than a deletion vector can name".to_owned(),
                ))
            })
        };
        let size = fits(vector.len())?;
        descriptors.push(DeletionVectorDescriptor {
            storage_type: StorageType::UuidRelativePath,
            path_or_inline_dv: name.clone(),
            offset: Some(fits(content.len())?),
            size_in_bytes: size,
            cardinality: i64::try_from(positions.len()).unwrap_or(i64::MAX),
        });
        content.extend(size.to_be_bytes());
        content.extend(&vector);
        content.extend(crc32fast::hash(&vector).to_be_bytes());
    }
    let path = layout::table(table).join(file_name(&uuid));
    tables.lake().put(&path, content).await?;
    Ok(descriptors)
}

/// Reads the vector that `descriptor` names, of a table whose root is `root` in `store`.
///
/// # Errors
/// A vector that is not there, is not whole, or is not what the log says of it: its rows would come back.
pub(super) async fn read(
    store: &dyn ObjectStore,
    root: &Path,
    descriptor: &DeletionVectorDescriptor,
) -> Result<Positions, DataFusionError> {
    let broken = |because: &str| {
        DataFusionError::External(
            format!(
                "the deletion vector `{}` under {root} {because}; without it deleted rows would come back",
                descriptor.path_or_inline_dv
            )
            .into(),
        )
    };
    let size = usize::try_from(descriptor.size_in_bytes).map_err(|_| broken("has no length"))?;
    let vector: Bytes = match descriptor.storage_type {
        StorageType::Inline => {
            let bytes = z85::decode(&descriptor.path_or_inline_dv).map_err(|_| broken("is not base 85"))?;
            if bytes.len() < size {
                return Err(broken("is shorter than the log says"));
            }
            Bytes::from(bytes).slice(..size)
        }
        StorageType::UuidRelativePath => {
            let path = relative_path(&descriptor.path_or_inline_dv)
                .ok_or_else(|| broken("has a name that is not base 85"))?;
            let path = Path::from_iter(root.parts().chain(path.parts()));
            let start = u64::try_from(descriptor.offset.unwrap_or(0)).unwrap_or(0);
            let whole = store
                .get_range(&path, start..start + size as u64 + 8)
                .await
                .map_err(DataFusionError::from)?;
            if whole.len() != size + 8 || whole[..4] != descriptor.size_in_bytes.to_be_bytes() {
                return Err(broken("is shorter than the log says"));
            }
            let vector = whole.slice(4..4 + size);
            if whole[4 + size..] != crc32fast::hash(&vector).to_be_bytes() {
                return Err(broken("is damaged: its checksum does not match"));
            }
            vector
        }
        StorageType::AbsolutePath => {
            return Err(broken("is kept under an absolute path, which elt does not follow"));
        }
    };
    if vector.len() < 4 || vector[..4] != MAGIC.to_le_bytes() {
        return Err(broken("is of a kind that elt does not know"));
    }
    let positions = Positions::deserialize_from(&vector[4..]).map_err(|_| broken("is damaged"))?;
    if i64::try_from(positions.len()).ok() != Some(descriptor.cardinality) {
        return Err(broken("hides another number of rows than the log says"));
    }
    Ok(positions)
}

/// The files of vectors that a descriptor refers to, below the table's root; nothing if it is inline.
pub(super) fn relative_file(descriptor: &DeletionVectorDescriptor) -> Option<String> {
    match descriptor.storage_type {
        StorageType::UuidRelativePath => {
            relative_path(&descriptor.path_or_inline_dv).map(|path| path.to_string())
        }
        _ => None,
    }
}

/// `<prefix><20 characters of a UUID>`, as a path below the table's root.
fn relative_path(name: &str) -> Option<Path> {
    let split = name.len().checked_sub(20).filter(|at| name.is_char_boundary(*at))?;
    let (prefix, encoded) = name.split_at(split);
    let uuid = Uuid::from_slice(&z85::decode(encoded).ok()?).ok()?;
    Some(match prefix {
        "" => Path::from(file_name(&uuid)),
        prefix => Path::from(prefix).join(file_name(&uuid)),
    })
}

fn file_name(uuid: &Uuid) -> String {
    format!("deletion_vector_{uuid}.bin")
}
