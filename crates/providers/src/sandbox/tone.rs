//! What a stand-in plays as a recording.

const SAMPLES_PER_SECOND: u32 = 8_000;
/// A tone is no longer than this, however long the recording says it is.
const TONE_SECONDS_MAX: u32 = 30;
/// The tone changes its sign every so many samples, and its loudness every second.
const HALF_WAVE_SAMPLES: u32 = 20;

/// A WAV file with one channel of 8 bits.
pub(crate) fn tone(seconds: u32) -> Vec<u8> {
    let samples = seconds.clamp(1, TONE_SECONDS_MAX) * SAMPLES_PER_SECOND;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + samples).to_le_bytes());
    file.extend(b"WAVEfmt ");
    // The size of this part, PCM, one channel, samples and bytes a second, bytes and bits a sample.
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(SAMPLES_PER_SECOND.to_le_bytes());
    file.extend(SAMPLES_PER_SECOND.to_le_bytes());
    file.extend([1, 0, 8, 0]);
    file.extend(b"data");
    file.extend(samples.to_le_bytes());
    file.extend((0..samples).map(|sample| {
        let is_loud = (sample / SAMPLES_PER_SECOND).is_multiple_of(2);
        let is_high = (sample / HALF_WAVE_SAMPLES).is_multiple_of(2);
        match (is_loud, is_high) {
            (true, true) => 136,
            (true, false) => 120,
            (false, _) => 128_u8,
        }
    }));
    file
}
