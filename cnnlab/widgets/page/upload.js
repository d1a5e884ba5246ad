// Brings files from the browser to the button of ipywidgets, however many apps a page shows.
//
// FileUpload takes no drops, and it sends all files of a choice as one message, which the server
// drops without a word if it is larger than its limit. So every file goes alone, the next one
// when the kernel has answered; one that is too large or unreadable goes without its content,
// its type saying so (see upload_result.py); and a file without an answer is spoken of.
(() => {
  if (window.cnnlabUpload) return; // one script for all apps of the page
  window.cnnlabUpload = true;
  const inputs = new WeakMap(); // button → its <input type="file">, which is in no document
  const queues = new WeakMap(); // app → the promise that its files are sent
  let passing = false; // whether a choice is the script's own
  const appOf = (event) => event.target.closest?.(".cnnlab-app");

  function inputOf(button) {
    if (!inputs.has(button)) {
      let input;
      const click = HTMLInputElement.prototype.click;
      inputs.set(button, null); // the click below is not a person's
      HTMLInputElement.prototype.click = function () { input = this; };
      try { button.click(); } finally { HTMLInputElement.prototype.click = click; }
      inputs.set(button, input);
      input.addEventListener("change", (event) => {
        if (passing) return;
        event.stopImmediatePropagation();
        enqueue(button, [...input.files]);
      }, true);
    }
    return inputs.get(button);
  }

  function enqueue(button, files) {
    const app = button.closest(".cnnlab-app");
    queues.set(app, (queues.get(app) ?? Promise.resolve()).then(() => send(app, button, files)));
  }

  async function send(app, button, files) {
    const note = app.querySelector(".cnnlab-sending");
    for (const [position, file] of files.entries()) {
      const size = `${(file.size / 2 ** 20).toFixed(1)} MiB`;
      note.textContent = `Sending ${file.name} (${size}), ${position + 1} of ${files.length} …`;
      const parcel = new DataTransfer();
      parcel.items.add(await fitting(file, Number(note.dataset.maxBytes)));
      const before = received(app);
      const input = inputOf(button);
      input.files = parcel.files;
      passing = true;
      input.dispatchEvent(new Event("change"));
      passing = false;
      const asked = Date.now();
      while (app.isConnected && received(app) === before) {
        await new Promise((done) => setTimeout(done, 50));
        if (Date.now() - asked > 1000 * Number(note.dataset.patience)) {
          note.textContent = `No answer to ${file.name} (${size}) yet. Either the kernel is busy, ` +
            "or the server dropped the file because its limit for a message is smaller: start it " +
            "with make lab or make app, and run this cell again.";
        }
      }
    }
    note.textContent = "";
  }

  async function fitting(file, limit) {
    const without = (type) => new File([], file.name, { type, lastModified: file.lastModified });
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      return without("application/x-unreadable"); // a folder, or gone since it was chosen
    }
    return file.size > limit ? without(`application/x-not-sent;bytes=${file.size}`) : file;
  }

  function received(app) {
    return app.querySelector("[data-received]")?.dataset.received;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".cnnlab-upload");
    if (button && !inputs.has(button)) inputOf(button);
  }, true);
  document.addEventListener("dragover", (event) => {
    const app = appOf(event);
    if (!app || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    app.classList.add("cnnlab-over");
  });
  document.addEventListener("dragleave", (event) => {
    const app = appOf(event);
    if (app && !app.contains(event.relatedTarget)) app.classList.remove("cnnlab-over");
  });
  document.addEventListener("drop", (event) => {
    const app = appOf(event);
    if (!app || !event.dataTransfer.files.length) return;
    event.preventDefault();
    app.classList.remove("cnnlab-over");
    enqueue(app.querySelector(".cnnlab-upload"), [...event.dataTransfer.files]);
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches?.(".cnnlab-opacity")) {
      appOf(event).style.setProperty("--cnnlab-opacity", event.target.value);
    }
  });
  // Arrow keys belong to the control that has the focus, not to the notebook around it.
  document.addEventListener("focusin", (event) => {
    if (appOf(event)) event.target.setAttribute("data-lm-suppress-shortcuts", "true");
  });
})();
