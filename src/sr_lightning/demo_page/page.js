() => {
  // The slider has the pictures of both sides; arrow keys move its handle, as a finger does.
  const pictures = () => ['before', 'after'].map(
    side => document.querySelector(`#slider img[src*="/${side}_"]`)).filter(Boolean);

  const move = (slider, step) => {
    const handle = slider.querySelector('.icon-wrap');
    const box = handle.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const at = (kind, target, clientX) => target.dispatchEvent(
      new MouseEvent(kind, {clientX, clientY: y, bubbles: true, cancelable: true, view: window}));
    at('mousedown', handle, x);
    at('mousemove', window, x + step * slider.clientWidth);
    at('mouseup', window, x + step * slider.clientWidth);
  };

  const reveal = () => {
    let tries = 0;
    const waiting = setInterval(() => {
      const slider = document.querySelector('#slider');
      const there = slider?.querySelector('img')?.naturalHeight;
      if (there) {
        slider.tabIndex = 0;
        slider.setAttribute('role', 'slider');
        slider.setAttribute('aria-label', 'Bicubic on the left, enlarged on the right; arrow keys move the border');
        slider.onkeydown = event => {
          const step = {ArrowLeft: -0.05, ArrowRight: 0.05}[event.key];
          if (step) { event.preventDefault(); move(slider, step); }
        };
        slider.scrollIntoView({block: 'center'});  // on phones the result comes below the controls
      }
      if (there || ++tries > 50) clearInterval(waiting);
    }, 100);
  };

  // Every pixel of the pictures is one of the screen; both panes show the same place.
  const showFull = () => {
    const dialog = document.createElement('dialog');
    dialog.id = 'at-full-size';
    const panes = pictures().map((picture, side) => {
      const pane = document.createElement('div');
      pane.tabIndex = 0;
      const copy = new Image();
      copy.src = picture.src;
      copy.alt = ['bicubic', 'enlarged'][side];
      copy.style.width = `${picture.naturalWidth / devicePixelRatio}px`;
      pane.append(copy);
      dialog.append(pane);
      return pane;
    });
    panes.forEach((pane, side) => {
      pane.onscroll = () => panes[1 - side]?.scrollTo(pane.scrollLeft, pane.scrollTop);
    });
    const close = document.createElement('button');
    close.textContent = 'Close';
    close.onclick = () => dialog.close();
    dialog.append(close);
    dialog.onclose = () => dialog.remove();
    document.querySelector('.gradio-container').append(dialog);
    dialog.showModal();
    panes[0]?.scrollTo((panes[0].scrollWidth - panes[0].clientWidth) / 2,
      (panes[0].scrollHeight - panes[0].clientHeight) / 2);
  };

  ACTION();
}
