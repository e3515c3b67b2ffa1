"""Answer prompts in a window, which stays alive meanwhile: asyncio runs in a thread beside Tk.

    pip install nadoo-flow
    python gui.py

(On Linux, Tk may be a package of its own: apt install python3-tk.) Stop cancels the run, and so
does closing the window, which then waits for the clean-up of what is in work.
"""

import asyncio
import signal
import threading
import tkinter as tk
from queue import Empty, SimpleQueue
from tkinter import ttk

from nadoo_flow import BatchProcessor

LOOK = 50
"""Milliseconds from one look at what has arrived to the next."""


async def answer(prompt):
    await asyncio.sleep(len(prompt) / 10)  # stands for a call to a model
    return prompt.upper()


class Background:
    """An event loop in a thread. Its end cancels what runs in it, and waits for that."""

    def __init__(self):
        started = SimpleQueue()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.live(started)))
        self.thread.start()
        self.loop, self.stop = started.get()

    async def live(self, started):
        stop = asyncio.Event()
        started.put((asyncio.get_running_loop(), stop))
        await stop.wait()

    def start(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def end(self):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()


class Window(tk.Tk):
    def __init__(self):
        super().__init__()
        self.title("Answers")
        self.processor = BatchProcessor(answer, max_concurrency=5)
        self.background, self.arrived, self.running = Background(), SimpleQueue(), None
        self.prompts = tk.Text(self, height=5, width=50)
        self.button = ttk.Button(self, text="Answer", command=self.toggle)
        self.bar = ttk.Progressbar(self)
        self.answers = tk.Listbox(self, height=10)
        for widget in (self.prompts, self.button, self.bar, self.answers):
            widget.pack(fill="both", expand=widget is self.answers, padx=8, pady=4)
        self.prompts.focus()
        self.protocol("WM_DELETE_WINDOW", self.close)
        self.after(LOOK, self.look)

    def toggle(self):
        if self.running is not None:
            self.running.cancel()
            return
        prompts = [line for line in self.prompts.get("1.0", "end").splitlines() if line]
        self.answers.delete(0, "end")
        self.bar.configure(maximum=max(1, len(prompts)), value=0)
        self.button.configure(text="Stop")
        self.running = self.background.start(self.run(prompts))

    async def run(self, prompts):
        """Run in the thread of the loop, which must not touch the window."""
        async with self.processor.batch_as_completed(prompts) as results:
            async for result in results:
                self.arrived.put(result)

    def look(self):
        is_over = self.running is not None and self.running.done()
        try:
            while True:
                result = self.arrived.get_nowait()
                self.answers.insert("end", f"{result.input_data}: {result.output or result.error}")
                self.bar["value"] += 1
        except Empty:
            pass
        if is_over:
            self.running = None
            self.button.configure(text="Answer")
        self.after(LOOK, self.look)

    def close(self):
        self.background.end()
        self.destroy()


def main():
    window = Window()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: window.after_idle(window.close))
    window.mainloop()


if __name__ == "__main__":
    main()
