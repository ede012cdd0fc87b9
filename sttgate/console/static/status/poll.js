// What is asked for again and again, as long as somebody looks.

import { useEffect, useRef, useState } from "../vendor/preact.js";
import { ApiError } from "../api.js";

/**
 * The newest answer of `load`, asked for every `interval` ms while the page can be seen.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {number} interval
 * @returns {{data: T|null, at: Date|null, error: ApiError|null, refresh: () => void}}
 *   `data` is that of the instant `at`; `error`: why there is no newer one
 */
export function usePoll(load, interval) {
  const [state, setState] = useState({ data: null, at: null, error: null });
  const refresh = useRef(() => {});
  useEffect(() => {
    let timer = 0;
    let stop = new AbortController();
    const ask = async () => {
      clearTimeout(timer);
      stop.abort();
      const { signal } = (stop = new AbortController());
      if (document.hidden) return;
      try {
        const data = await load(signal);
        if (signal.aborted) return;
        setState({ data, at: new Date(), error: null });
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        setState((before) => ({ ...before, error }));
      }
      timer = setTimeout(ask, interval);
    };
    refresh.current = ask;
    document.addEventListener("visibilitychange", ask);
    ask();
    return () => {
      document.removeEventListener("visibilitychange", ask);
      clearTimeout(timer);
      stop.abort();
    };
  }, [load, interval]);
  return { ...state, refresh: () => refresh.current() };
}
