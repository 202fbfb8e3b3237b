//! How an array is cut into blocks.

use std::fmt;
use std::sync::Arc;

use weft_data::Hasher;

/// Elements along one axis of a block; `None` until the block has been computed.
pub type Size = Option<usize>;

/// The blocks along one axis. Cloning shares, and so do arrays cut the same way.
#[derive(Clone)]
pub struct AxisChunks(Arc<Axis>);

struct Axis {
    sizes: Box<[Size]>,
    total: Size,
    digest: u128,
}

impl AxisChunks {
    pub fn new(sizes: impl Into<Box<[Size]>>) -> AxisChunks {
        let sizes = sizes.into();
        let mut hasher = Hasher::new("chunks");
        hasher.number(sizes.len() as u64);
        for size in &sizes {
            hasher.number(size.map_or(u64::MAX, |n| n as u64));
        }
        let total = sizes.iter().copied().sum();
        AxisChunks(Arc::new(Axis { sizes, total, digest: hasher.finish() }))
    }

    pub fn known(sizes: impl IntoIterator<Item = usize>) -> AxisChunks {
        AxisChunks::new(sizes.into_iter().map(Some).collect::<Box<[Size]>>())
    }

    pub fn sizes(&self) -> &[Size] {
        &self.0.sizes
    }

    /// The extents, if all are known.
    pub fn known_sizes(&self) -> Option<Vec<usize>> {
        self.0.sizes.iter().copied().collect()
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.0.sizes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.sizes.is_empty()
    }

    /// Elements along the axis.
    pub fn total(&self) -> Size {
        self.0.total
    }

    pub fn digest(&self) -> u128 {
        self.0.digest
    }

    /// Whether both are the same object, which no content has to be compared for.
    pub fn is(&self, other: &AxisChunks) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Equal extents. Two unknown ones count as equal: whether they are shows when they are computed.
impl PartialEq for AxisChunks {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for AxisChunks {}

impl fmt::Debug for AxisChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, size) in self.sizes().iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match size {
                _ if i == 16 => return write!(f, "… {} blocks)", self.len()),
                Some(n) => write!(f, "{n}")?,
                None => f.write_str("nan")?,
            }
        }
        f.write_str(")")
    }
}

/// The blocks along every axis.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunks(Arc<[AxisChunks]>);

impl Chunks {
    pub fn new(axes: impl Into<Arc<[AxisChunks]>>) -> Chunks {
        Chunks(axes.into())
    }

    pub fn axes(&self) -> &[AxisChunks] {
        &self.0
    }

    pub fn ndim(&self) -> usize {
        self.0.len()
    }

    pub fn shape(&self) -> Vec<Size> {
        self.0.iter().map(AxisChunks::total).collect()
    }

    /// Number of blocks along each axis.
    pub fn numblocks(&self) -> Vec<u32> {
        self.0.iter().map(|axis| axis.len() as u32).collect()
    }

    /// Number of blocks; `None`: more than a layer can hold.
    pub fn count(&self) -> Option<u32> {
        self.0.iter().try_fold(1u32, |n, axis| n.checked_mul(u32::try_from(axis.len()).ok()?))
    }

    /// Where block number `index` lies, counted row by row.
    pub fn position(&self, index: u32) -> Vec<u32> {
        position(index, &self.numblocks())
    }

    /// The shape of the block at `position`.
    pub fn block_shape(&self, position: &[u32]) -> Vec<Size> {
        self.0.iter().zip(position).map(|(axis, &i)| axis.sizes()[i as usize]).collect()
    }

    pub fn feed(&self, hasher: &mut Hasher) {
        hasher.number(self.0.len() as u64);
        for axis in self.0.iter() {
            hasher.digest(axis.digest());
        }
    }
}

/// The place of cell `index` in a grid whose cells are numbered row by row.
pub(crate) fn position(index: u32, grid: &[u32]) -> Vec<u32> {
    let mut rest = index;
    let mut position = vec![0; grid.len()];
    for (at, &n) in position.iter_mut().zip(grid).rev() {
        *at = rest % n;
        rest /= n;
    }
    position
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, axis) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{axis:?}")?;
        }
        f.write_str(")")
    }
}
