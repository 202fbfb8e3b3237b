//! Sums and moments that keep their precision.

/// A sum with the error of its last additions (Kahan).
#[derive(Clone, Copy, Debug, Default)]
pub struct Compensated {
    sum: f64,
    error: f64,
}

impl From<f64> for Compensated {
    fn from(sum: f64) -> Self {
        Compensated { sum, error: 0.0 }
    }
}

impl Compensated {
    #[inline]
    pub fn add(&mut self, value: f64) {
        let value = value - self.error;
        let sum = self.sum + value;
        let error = (sum - self.sum) - value;
        // Infinities have no error to carry.
        self.error = if error.is_finite() { error } else { 0.0 };
        self.sum = sum;
    }

    pub fn value(&self) -> f64 {
        self.sum
    }
}

/// Sum and number of the values that are not NaN, added pairwise.
pub fn sum_of(values: &[f64]) -> (f64, usize) {
    const BLOCK: usize = 128;
    if values.len() > BLOCK {
        let half = (values.len() / 2).next_multiple_of(8);
        let (left, right) = values.split_at(half);
        let (a, n) = sum_of(left);
        let (b, m) = sum_of(right);
        return (a + b, n + m);
    }
    let (mut sums, mut counts) = ([0.0; 8], [0usize; 8]);
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for lane in 0..8 {
            let keep = !chunk[lane].is_nan();
            sums[lane] += if keep { chunk[lane] } else { 0.0 };
            counts[lane] += keep as usize;
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        if !value.is_nan() {
            sums[lane] += value;
            counts[lane] += 1;
        }
    }
    let sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    (sum, counts.iter().sum())
}

/// Count, mean and sum of squared deviations (Welford; merged as Chan, Golub and LeVeque do).
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    pub count: i64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }

    /// Of a batch, in two passes.
    pub fn of(values: &[f64]) -> Moments {
        let (sum, count) = sum_of(values);
        if count == 0 {
            return Moments::default();
        }
        let mean = sum / count as f64;
        let squares = values.iter().filter(|v| !v.is_nan()).map(|v| (v - mean) * (v - mean)).sum();
        Moments { count: count as i64, mean, squares }
    }

    pub fn merge(&mut self, other: Moments) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.squares += other.squares + delta * delta * self.count as f64 * share;
        self.mean += delta * share;
        self.count = count;
    }

    pub fn variance(&self, ddof: i64) -> f64 {
        if self.count <= ddof { f64::NAN } else { self.squares / (self.count - ddof) as f64 }
    }
}
