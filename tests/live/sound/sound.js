// A page's ears and mouth: its microphone is a tone, and what it hears is told ten times a second as the shares of
// the tones that were asked for (`listen`).

window.sound = async (hz) => {
  const context = new AudioContext({ sampleRate: 48000 });
  const tone = new OscillatorNode(context, { frequency: hz });
  const loudness = new GainNode(context, { gain: 0.3 });
  const beat = new OscillatorNode(context, { frequency: 5 });
  const depth = new GainNode(context, { gain: 0.25 });
  const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  beat.connect(depth).connect(loudness.gain);
  tone.connect(loudness).connect(microphone);
  tone.start();
  beat.start();
  // Libraries stop the tracks that they were given: each call has a clone.
  navigator.mediaDevices.getUserMedia = async () => microphone.stream.clone();

  let analyser;
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...given) {
      super(...given);
      this.addEventListener("track", ({ track }) => {
        const stream = new MediaStream([track]);
        const player = new Audio(); // without one, Chromium lets nothing of a remote stream into a graph
        player.srcObject = stream;
        player.muted = true;
        player.play();
        analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
        new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(analyser);
      });
    }
  };

  setInterval(() => {
    if (!analyser) return;
    const decibels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(decibels);
    const width = context.sampleRate / analyser.fftSize;
    const power = (from, to) => {
      let sum = 0;
      for (let bin = Math.ceil(from / width); bin * width < to; bin++) sum += 10 ** (decibels[bin] / 10);
      return sum;
    };
    const all = power(100, 3900);
    let loudest = 0;
    for (let bin = Math.ceil(100 / width); bin * width < 3900; bin++)
      if (decibels[bin] > decibels[loudest] || !loudest) loudest = bin;
    const found = Math.round(loudest * width);
    tell("heard", { hz: found, share: all > 1e-7 ? power(found - 30, found + 30) / all : 0 });
  }, 100);
};
